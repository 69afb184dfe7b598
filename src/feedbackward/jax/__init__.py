"""The recurrences for JAX: the same kernels, the same numbers, without PyTorch.

    from feedbackward.jax import lfilter

Functions with the arguments of their namesakes at the top level, in the same order, where ``dim`` is called ``axis``;
they go through ``jit``, ``grad``, ``jvp``, ``hessian`` and ``vmap``, and compute on CPU.
"""

from __future__ import annotations

try:
    from . import library as library  # loads the operators
except ModuleNotFoundError as error:
    if error.name != "jax":
        raise
    raise ModuleNotFoundError(
        "feedbackward.jax needs JAX, which is not installed: `pip install feedbackward[jax]` brings it.", name="jax"
    ) from error

from .band import band_matmul, band_rnn
from .filters import lfilter, linear_recurrence, sosfilt

__all__ = ["band_matmul", "band_rnn", "lfilter", "linear_recurrence", "sosfilt"]
