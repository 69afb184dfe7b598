"""The compiled operators: loaded once, into the TensorFlow of this process."""

from __future__ import annotations

import ctypes
from typing import Any

import tensorflow as tf

from ... import native

# TensorFlow first: the library finds the symbols of its C API in the process.
operators: Any = tf.load_op_library(str(native.path("tensorflow")))
_library = native.load("tensorflow")


def use_threads(count: int) -> None:
    """How many threads work on one call; 0: as many as this process has processors.

    TensorFlow's own pool is out of reach of its C API; it is left in peace, and ours has the size that
    ``tf.config.threading.set_intra_op_parallelism_threads`` gave to TensorFlow's. Results do not depend on it.
    """
    _library.fb_tensorflow_threads(ctypes.c_int64(count))


use_threads(tf.config.threading.get_intra_op_parallelism_threads())
