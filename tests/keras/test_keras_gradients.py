"""The gradients of all weights, of x and of the first states, beside those of keras.layers.RNN over the same cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from layers_under_test import EVERY, UNITS, assert_same, make, numbers

BACKEND = keras.backend.backend()
if BACKEND == "jax":
    import jax
elif BACKEND == "tensorflow":
    import tensorflow as tf

B, T, INPUT = 3, 8, 4


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    keras.config.set_dtype_policy("float64")
    try:
        if BACKEND == "jax":
            with jax.enable_x64(True):
                yield
        else:
            yield
    finally:
        keras.config.set_dtype_policy("float32")


def gradients(model: Any, data: list[Any]) -> list[Any]:
    """Of a weighted sum of all that the model returns, with respect to its weights."""

    def total(results: list[Any]) -> Any:
        weights = [keras.ops.convert_to_tensor(np.cos(np.arange(y[0].size)).reshape(y[0].shape)) for y in like]
        return sum(keras.ops.sum(y * w) for y, w in zip(results, weights, strict=True))

    inputs = [keras.ops.convert_to_tensor(x) for x in data]
    like = [numbers(y) for y in model(inputs)]
    if BACKEND == "torch":
        model.zero_grad()
        total(model(inputs)).backward()
        return [numbers(w.value.grad) for w in model.trainable_weights]
    if BACKEND == "tensorflow":
        with tf.GradientTape() as tape:
            y = total(model(inputs))
        return [numbers(g) for g in tape.gradient(y, [w.value for w in model.trainable_weights])]
    others = [w.value for w in model.non_trainable_variables]
    function = jax.grad(lambda weights: total(model.stateless_call(weights, others, inputs)[0]))
    return [numbers(g) for g in function([w.value for w in model.trainable_variables])]


def seeded(seed: int) -> Any:
    return keras.initializers.RandomNormal(stddev=0.5, seed=seed)


def inside_a_model(layer: Any, mask: bool) -> Any:
    """x and the first states come from weights, so that they have gradients as well."""
    x, first = keras.Input((T, INPUT)), keras.Input((INPUT,))
    y = keras.layers.Masking()(x) if mask else x
    y = keras.layers.Dense(5, use_bias=False, kernel_initializer=seeded(1))(y)
    states = [keras.layers.Dense(UNITS, kernel_initializer=seeded(2 + i))(first) for i in range(len(layer.state_size))]
    return keras.Model([x, first], layer(y, initial_state=states))


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("name", EVERY)
def test_gradients_are_those_of_the_cell(rng: np.random.Generator, name: str, mask: bool) -> None:
    settings = {"return_sequences": True, "return_state": True, "go_backwards": mask}
    own = {"kernel_initializer": seeded(6), "recurrent_initializer": seeded(7)}
    own["activation"] = "softsign"  # tanh of Keras 3.15 is float32 on JAX
    layer = make(EVERY[name], **own, **settings)
    x = rng.normal(size=(B, T, INPUT))
    x[1, 3:5] = x[2, 6:] = 0.0
    data = [x, rng.normal(size=(B, INPUT))]
    ours = gradients(inside_a_model(layer, mask), data)
    theirs = gradients(inside_a_model(keras.layers.RNN(make(EVERY[name], **own).cell, **settings), mask), data)
    assert len(ours) == 1 + 2 * len(layer.state_size) + 3
    assert min(np.abs(g).max() for g in ours) > 1e-2
    assert_same(ours, theirs, steps=10 * T)
