"""This library from JAX, each function compiled with its gradients into one call of XLA."""

from __future__ import annotations

from typing import Any

from feedbackward.jax import band_rnn, lfilter

from ..case import Call, Inputs
from .jax_scan import compiled, with_gradient
from .torch_recurrent import WEIGHTS


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


def _band(x: Any, *weights: Any) -> Any:
    return band_rnn(x, *weights, lower=len(weights[1]) // 2)[0]


def band_forward(inputs: Inputs) -> Call:
    """A tanh layer whose matrix is a band."""
    call = compiled(_band, inputs, "x", *WEIGHTS)
    return lambda: (call(),)


def band_gradient(inputs: Inputs) -> Call:
    """The same with gradients to x and every weight."""
    return compiled(with_gradient(_band), inputs, "x", *WEIGHTS, "g")
