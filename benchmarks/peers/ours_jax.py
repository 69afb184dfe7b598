"""This library from JAX, each function compiled with its gradients into one call of XLA."""

from __future__ import annotations

from typing import Any

from feedbackward.jax import lfilter

from ..case import Call, Inputs
from .jax_scan import compiled, with_gradient


def _bank(b: Any, a: Any, x: Any) -> Any:
    return lfilter(b[:, 0], a[:, 0], x[:, None])


def cascade(inputs: Inputs) -> Call:
    """A bank of biquads."""
    call = compiled(_bank, inputs, "b", "a", "x")
    return lambda: (call(),)


def cascade_gradient(inputs: Inputs) -> Call:
    """The same with gradients to b, a and x."""
    call = compiled(with_gradient(_bank), inputs, "b", "a", "x", "g")

    def drop_a0() -> tuple[Any, ...]:
        y, d_b, d_a, d_x = call()
        return y, d_b, d_a[..., 1:], d_x

    return drop_a0
