"""Recurrent layers as functions, the structures of their matrices, and truncated back-propagation through time."""
