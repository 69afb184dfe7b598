"""The filters of the backend that Keras runs on, and its functions as a namespace for the formulas.

The formulas run on the functions of the framework itself where Keras's own are not enough for coefficients: on JAX its
sine of float64 is one of float32, and on torch its clip rounds limits to float32.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from keras import ops

from .backend import NAME


def sosfilt(sos: Any, x: Any, axis: int, state: Any, dtype: str) -> tuple[Any, Any]:
    """Filter x along ``axis`` with sections in series: `feedbackward.sosfilt`, `.tensorflow`'s or `.jax`'s.

    Args:
        sos: Rows (..., sections, 6), of `dtype`.
        x: Signals, float32 or float64, with time along ``axis``; leading shapes broadcast.
        axis: The time axis of x.
        state: Before the first sample, (..., sections, 2), or None for silence.
        dtype: Of coefficients, states and arithmetic.

    Returns:
        y, in the dtype of x, and the state after the last sample, or None where none was given.
    """
    result = _sosfilt(sos, x, axis, state, compute_dtype=_dtype(dtype))
    return (result, None) if state is None else result


def check_available(layer: str, dtype: str) -> None:
    """Raise ValueError where the backend has no such dtype: JAX without its 64 bits."""
    if NAME == "jax" and dtype == "float64" and not _has_doubles():
        raise ValueError(
            f"{layer}: filter_dtype is float64, which needs jax.config.update('jax_enable_x64', True) before the layer "
            "is made"
        )


def _clip(x: Any, low: float, high: float) -> Any:
    """x between two numbers of any precision; at either, the gradient is that of x."""
    zero = ops.zeros_like(x)
    return ops.where(x < low, zero + low, ops.where(x > high, zero + high, x))


def _exp2(x: Any) -> Any:
    """2^x, which Keras 3.5 does not have."""
    return ops.power(2.0, x)


if NAME == "tensorflow":
    from ..tensorflow.sosfilt import sosfilt as _sosfilt

    operations: Any = SimpleNamespace(**{**vars(ops), "clip": _clip, "exp2": _exp2})
    _dtype: Any = str

elif NAME == "jax":
    import jax

    from ..jax.filters import sosfilt as _sosfilt

    operations = SimpleNamespace(**{**vars(jax.numpy), "sigmoid": jax.nn.sigmoid, "clip": _clip})
    _dtype = np.dtype

    def _has_doubles() -> bool:
        return bool(jax.dtypes.canonicalize_dtype(np.float64) == np.float64)

else:
    import torch

    from ..filters.sosfilt import sosfilt as _sosfilt

    operations = torch

    def _dtype(name: str) -> Any:
        return getattr(torch, name)
