"""Derivatives against differences: of a function of tensors, to inputs that move along one random direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf


def flat(tensors: Any) -> tf.Tensor:
    """All numbers of some tensors, complex ones as pairs, as one real vector."""
    parts = []
    for t in tf.nest.flatten(tensors):
        parts += [tf.math.real(t), tf.math.imag(t)] if t.dtype.is_complex else [t]
    return tf.concat([tf.reshape(t, [-1]) for t in parts], 0)


def gradients_of(function: Callable[..., Any], weigh: Callable[[tf.Tensor], tf.Tensor] = tf.sin) -> Callable[..., Any]:
    """The function that has the gradients of a weighted sum of the outputs, to every input."""

    def gradients(*inputs: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(weigh(flat(function(*inputs))))
        return tape.gradient(loss, inputs)

    return gradients


def check_gradients(function: Callable[..., Any], inputs: Sequence[Any], order: int = 2) -> None:
    """Gradients up to an order; every input's own, so that one that is wrong is not lost among the others.

    A central difference of step e has an error of e**2 times the third derivative, and of eps / e.
    """
    rng = np.random.default_rng(1)
    tensors = [tf.convert_to_tensor(value) for value in inputs]
    for _ in range(order):
        found = gradients_of(function)(*tensors)
        for i, (value, gradient) in enumerate(zip(tensors, found, strict=True)):
            assert gradient is not None, i
            assert gradient.shape == value.shape
            if value.shape.num_elements() == 0:
                continue
            along = rng.normal(size=value.shape)
            if value.dtype.is_complex:
                along = along + 1j * rng.normal(size=value.shape)
            step = 1e-5
            ends = [_loss(function, [*tensors[:i], value + at * along, *tensors[i + 1 :]]) for at in (step, -step)]
            got = float(np.sum((np.conj(along) * gradient.numpy()).real))
            np.testing.assert_allclose(got, (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-6)
        function = gradients_of(function)


def _loss(function: Callable[..., Any], inputs: Sequence[Any]) -> float:
    return float(tf.reduce_sum(tf.sin(flat(function(*inputs)))))


def check_tangents(function: Callable[..., Any], inputs: Sequence[Any]) -> None:
    """Forward mode, along all inputs at once."""
    tensors = [tf.convert_to_tensor(value) for value in inputs]
    along = [tf.convert_to_tensor(np.random.default_rng(2).normal(size=t.shape)) for t in tensors]
    with tf.autodiff.ForwardAccumulator(tensors, along) as accumulator:
        outputs = flat(function(*tensors))
    step = 1e-5
    ends = [flat(function(*(t + s * v for t, v in zip(tensors, along, strict=True)))) for s in (step, -step)]
    np.testing.assert_allclose(accumulator.jvp(outputs), (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-6)
