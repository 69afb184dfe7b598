"""This library from TensorFlow, as tf.functions."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from feedbackward.tensorflow import lfilter

from ..case import Call, Inputs


def _bank(b: Any, a: Any, x: Any) -> Any:
    return lfilter(b[:, 0], a[:, 0], x[:, None])


def cascade(inputs: Inputs) -> Call:
    """A bank of biquads."""
    b, a, x = (tf.constant(inputs[name]) for name in "bax")
    call = tf.function(_bank)
    return lambda: (call(b, a, x),)


def cascade_gradient(inputs: Inputs) -> Call:
    """The same with gradients to b, a and x."""
    b, a, x, g = (tf.constant(inputs[name]) for name in "baxg")

    @tf.function
    def call() -> tuple[Any, ...]:
        with tf.GradientTape() as tape:
            tape.watch([b, a, x])
            y = _bank(b, a, x)
        d_b, d_a, d_x = tape.gradient(y, [b, a, x], g)
        return y, d_b, d_a[..., 1:], d_x

    return call
