"""The gradients of all weights, of x and of the first states, beside those of keras.layers.RNN over the same cell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from layers_under_test import EVERY, SOME, UNITS, assert_same, make, numbers

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


def gradients(layer: Any, given: list[Any], mask: Any) -> list[Any]:
    """Of a weighted sum of all that the layer returns: to x, the first states and its weights."""

    def total(results: list[Any]) -> Any:
        return sum(keras.ops.sum(y * keras.ops.cast(_weights(y.shape), y.dtype)) for y in results)

    def run(x: Any, *initial: Any) -> list[Any]:
        return layer(x, initial_state=list(initial), mask=mask)

    inputs = [keras.ops.convert_to_tensor(x, dtype="float64") for x in given]
    run(*inputs)
    weights = [w.value for w in layer.trainable_weights]
    if BACKEND == "torch":
        inputs = [x.requires_grad_() for x in inputs]
        total(run(*inputs)).backward()
        return [numbers(x.grad) for x in (*inputs, *weights)]
    if BACKEND == "tensorflow":
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = total(run(*inputs))
        return [numbers(g) for g in tape.gradient(y, [*inputs, *weights])]

    def function(inputs: list[Any], weights: list[Any]) -> Any:
        more = {"initial_state": inputs[1:], "mask": mask}
        return total(layer.stateless_call(weights, others, inputs[0], **more)[0])

    others = [w.value for w in layer.non_trainable_variables]
    return [numbers(g) for part in jax.jit(jax.grad(function, (0, 1)))(inputs, weights) for g in part]


def _weights(shape: Any) -> Any:
    return np.cos(np.arange(np.prod(shape))).reshape(shape)


def seeded(seed: int) -> Any:
    return keras.initializers.RandomNormal(stddev=0.5, seed=seed)


@pytest.mark.parametrize("masked", [True] if BACKEND == "jax" else [False, True])
@pytest.mark.parametrize("name", SOME)
def test_gradients_are_those_of_the_cell(rng: np.random.Generator, name: str, masked: bool) -> None:
    settings = {"return_sequences": True, "return_state": True, "go_backwards": masked}
    own = {"kernel_initializer": seeded(6), "recurrent_initializer": seeded(7)}
    own["activation"] = "softsign"  # Keras's tanh rounds as well, on JAX
    layer = make(EVERY[name], **own, **settings)
    theirs = keras.layers.RNN(make(EVERY[name], **own).cell, **settings)
    given = [rng.normal(size=(B, T, INPUT)), *rng.normal(size=(len(layer.state_size), B, UNITS))]
    mask = keras.ops.convert_to_tensor(rng.random((B, T)) < 0.6) if masked else None
    ours = gradients(layer, given, mask)
    assert len(ours) == len(given) + 3
    assert min(np.abs(g).max() for g in ours) > 1e-2
    assert_same(ours, gradients(theirs, given, mask), steps=10 * T)
