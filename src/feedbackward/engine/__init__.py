"""A cell becomes a program: trace, lane IR, adjoint, plan. The core runs what comes out."""
