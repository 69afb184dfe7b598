"""Digital filters with scipy.signal's names, argument order and numbers, and gradients to everything."""
