"""The compiled library for JAX: its operators, registered with XLA's foreign function interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from .. import native

OLDEST = (0, 7)  # XLA of JAX 0.6 aborts where a setting is a sequence without elements
if jax.__version_info__[:2] < OLDEST:
    raise ImportError(f"feedbackward.jax needs JAX 0.7 or newer, this is {jax.__version__}: pip install -U jax")

OPERATORS = (
    "cascade cascade_gradient linear_recurrence linear_recurrence_gradient scan scan_gradient band_outer".split()
)


def call(operator: str, results: Sequence[Any], *arrays: Any, **settings: Any) -> list[Any]:
    """Run an operator of bindings/jax*.cpp.

    Args:
        operator: One of `OPERATORS`.
        results: Shape and dtype of every result.
        arrays: The arguments.
        settings: Integers, truth values, and sequences of integers.
    """
    encoded = {name: _encoded(value) for name, value in settings.items()}
    return list(jax.ffi.ffi_call(f"feedbackward_{operator}", list(results))(*arrays, **encoded))


def _encoded(value: Any) -> Any:
    if isinstance(value, bool):
        return np.bool_(value)
    return np.asarray(value, np.int64) if isinstance(value, (Sequence, np.ndarray)) else np.int64(value)


_library = native.load("jax")
for _name in OPERATORS:
    _symbol = f"feedbackward_{_name}"
    jax.ffi.register_ffi_target(_symbol, jax.ffi.pycapsule(getattr(_library, _symbol)), platform="cpu")
