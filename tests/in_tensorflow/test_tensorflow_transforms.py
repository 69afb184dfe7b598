"""tf.function with unknown shapes, vectorized_map, SavedModel, and what XLA is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from differences import flat, gradients_of
from jax_loops import numbers, poles

import feedbackward.tensorflow as fbt


def calls(rng: np.random.Generator) -> dict[str, tuple[Callable[..., Any], list[np.ndarray]]]:
    """Every function, with its inputs in the order of their names."""
    sos = np.concatenate([numbers(rng, (4, 2, 3)), poles(rng, (4, 2), 2)], -1)
    weights = [0.3 * numbers(rng, shape) for shape in ((9, 2, 3), (5, 3), (3, 5), (5,), (5,), (2, 5))]
    return {
        "lfilter": (
            lambda b, a, x, zi: fbt.lfilter(b, a, x, zi=zi),
            [numbers(rng, (4, 3)), poles(rng, (4,), 2), numbers(rng, (2, 1, 9)), numbers(rng, (4, 2))],
        ),
        "sosfilt": (lambda sos, x: fbt.sosfilt(sos, x), [sos, numbers(rng, (2, 1, 9))]),
        "linear_recurrence": (
            fbt.linear_recurrence,
            [0.5 * numbers(rng, (1, 4, 9)), numbers(rng, (2, 4, 9)), numbers(rng, (4,))],
        ),
        "band_matmul": (lambda x, w: fbt.band_matmul(x, w, 1, 2), [numbers(rng, (3, 2, 5)), numbers(rng, (4, 5))]),
        "band_rnn": (lambda *weights: fbt.band_rnn(*weights, lower=1), weights),
    }


NAMES = list(calls(np.random.default_rng(0)))


def known_axes(name: str, inputs: list[np.ndarray]) -> list[list[int | None]]:
    """What has to be known of shapes: of a band and the weights of a layer, all; of sections, their number."""
    fixed = {"band_matmul": {1: (0, 1)}, "band_rnn": {1: (0, 1), 2: (0, 1), 3: (0,), 4: (0,)}, "sosfilt": {0: (1, 2)}}
    return [
        [size if axis in fixed.get(name, {}).get(i, ()) else None for axis, size in enumerate(value.shape)]
        for i, value in enumerate(inputs)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_unknown_axes(rng: np.random.Generator, name: str) -> None:
    function, inputs = calls(rng)[name]
    signature = [tf.TensorSpec(shape, tf.float64) for shape in known_axes(name, inputs)]
    for ours in (function, gradients_of(function), gradients_of(gradients_of(function))):
        traced = tf.function(ours, input_signature=signature)
        expected = flat(ours(*map(tf.constant, inputs)))
        np.testing.assert_allclose(flat(traced(*inputs)), expected, rtol=1e-12, atol=1e-12)
        if name != "band_matmul":
            longer = [
                np.concatenate([v, v], 0) if i == len(inputs) - 1 and name == "sosfilt" else v
                for i, v in enumerate(inputs)
            ]
            again = flat(ours(*map(tf.constant, longer)))
            np.testing.assert_allclose(flat(traced(*longer)), again, rtol=1e-12, atol=1e-12)
    assert traced.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("name", NAMES)
def test_shapes_in_a_graph(rng: np.random.Generator, name: str) -> None:
    """What follows from the shapes of inputs is known of outputs and gradients, while tracing."""
    function, inputs = calls(rng)[name]
    expected = [t.shape for t in tf.nest.flatten([function(*map(tf.constant, inputs)), *inputs])]
    seen = []

    @tf.function
    def traced(*tensors: tf.Tensor) -> None:
        found = tf.nest.flatten([function(*tensors), gradients_of(function)(*tensors)])
        seen.extend(t.shape for t in found)

    traced(*map(tf.constant, inputs))
    assert seen == expected


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_vectorized_map(rng: np.random.Generator, name: str) -> None:
    function, inputs = calls(rng)[name]
    stacks = [tf.stack([v, 0.5 * v, 0.7 * v]) if i != 2 else tf.stack([v, v, v]) for i, v in enumerate(inputs)]
    for ours in (function, gradients_of(function)):
        found = tf.vectorized_map(lambda one, ours=ours: flat(ours(*one)), stacks)
        for i in range(3):
            expected = flat(ours(*(stack[i] for stack in stacks)))
            np.testing.assert_allclose(found[i], expected, rtol=1e-12, atol=1e-12)


def test_a_gradient_of_a_loop(rng: np.random.Generator) -> None:
    """Blocks of a stream in a loop of the graph, where the shape of a block is not known."""
    x, b, a = (tf.constant(v) for v in (numbers(rng, (3, 40)), numbers(rng, (3,)), poles(rng, (), 2)))

    @tf.function(reduce_retracing=True)
    def by_blocks(x: tf.Tensor, b: tf.Tensor, a: tf.Tensor) -> tf.Tensor:
        state, blocks = tf.zeros([3, 2], tf.float64), tf.TensorArray(tf.float64, 4)
        for i in tf.range(4):
            block, state = fbt.lfilter(b, a, x[:, 10 * i : 10 * i + 10], zi=state)
            blocks = blocks.write(i, block)
        return tf.reshape(tf.transpose(blocks.stack(), [1, 0, 2]), [3, 40])

    whole = gradients_of(fbt.lfilter)(b, a, x)
    parts = gradients_of(lambda b, a, x: by_blocks(x, b, a))(b, a, x)
    np.testing.assert_allclose(flat(parts), flat(whole), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_saved_models(rng: np.random.Generator, name: str, tmp_path: Path) -> None:
    """Saved, loaded and differentiated."""
    function, inputs = calls(rng)[name]
    module = tf.Module()
    module.call = tf.function(function, input_signature=[tf.TensorSpec(v.shape, tf.float64) for v in inputs])
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    tensors = [tf.constant(v) for v in inputs]
    np.testing.assert_allclose(flat(loaded.call(*tensors)), flat(function(*tensors)), rtol=1e-12, atol=1e-12)
    expected = gradients_of(function)(*tensors)
    np.testing.assert_allclose(flat(gradients_of(loaded.call)(*tensors)), flat(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_xla_is_refused_in_one_sentence(rng: np.random.Generator, name: str) -> None:
    function, inputs = calls(rng)[name]
    compiled = tf.function(function, jit_compile=True)
    with pytest.raises(NotImplementedError, match=f"{name}: XLA cannot compile it.*jit_compile=True"):
        compiled(*map(tf.constant, inputs))
