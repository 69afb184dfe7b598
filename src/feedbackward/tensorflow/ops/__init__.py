"""The TensorFlow operators: what Python adds to the kernels is static shapes, and derivatives."""
