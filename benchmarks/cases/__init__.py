"""One file per kind of workload: its inputs, its expected outputs, and the targets it is held to."""
