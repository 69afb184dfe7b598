"""First and second derivatives to every input, in both modes, against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from differences import check_gradients, check_tangents, flat, gradients_of
from jax_loops import numbers, poles

import feedbackward.tensorflow as fbt


def cases(rng: np.random.Generator) -> dict[str, tuple[Callable[..., Any], list[np.ndarray]]]:
    real, complex_ = np.float64, np.complex128

    def lfilter_with_state(b: Any, a: Any, x: Any, zi: Any) -> Any:
        return fbt.lfilter(b, a, x, zi=zi)

    def bank(dtype: Any) -> list[np.ndarray]:
        return [numbers(rng, (3, 3), dtype), poles(rng, (3,), 2, dtype), numbers(rng, (2, 1, 6), dtype)]

    return {
        "a bank": (fbt.lfilter, bank(real)),
        "a bank, complex": (fbt.lfilter, bank(complex_)),
        "a bank with states": (lfilter_with_state, [*bank(real), numbers(rng, (3, 2))]),
        "a state for many": (lfilter_with_state, [*bank(real), numbers(rng, (2,))]),
        "states for one signal": (
            lfilter_with_state,
            [numbers(rng, (2,)), poles(rng, (), 1), numbers(rng, (5,)), numbers(rng, (4, 1))],
        ),
        "more b than a": (fbt.lfilter, [numbers(rng, (4,)), poles(rng, (), 1), numbers(rng, (7,))]),
        "more a than b": (fbt.lfilter, [numbers(rng, (1,)), poles(rng, (), 3), numbers(rng, (7,))]),
        "no recursion": (fbt.lfilter, [numbers(rng, (3,)), poles(rng, (), 0), numbers(rng, (7,))]),
        "time first": (
            lambda b, a, x: fbt.lfilter(b, a, x, 0),
            [numbers(rng, (3,)), poles(rng, (), 2), numbers(rng, (6, 2))],
        ),
        "frames": (
            lambda b, a, x: fbt.lfilter(b, a, x, hop=3, interpolation="linear"),
            [numbers(rng, (3, 2)), poles(rng, (3,), 2), numbers(rng, (2, 8))],
        ),
        "sections": (
            lambda sos, x, zi: fbt.sosfilt(sos, x, zi=zi),
            [
                np.concatenate([0.6 * numbers(rng, (3, 2, 3)), poles(rng, (3, 2), 2)], -1),
                numbers(rng, (2, 1, 5)),
                numbers(rng, (3, 2, 2)),
            ],
        ),
        "linear": (fbt.linear_recurrence, [0.5 * numbers(rng, (1, 3, 6)), numbers(rng, (2, 3, 6)), numbers(rng, (3,))]),
        "linear, one decay": (fbt.linear_recurrence, [0.5 * numbers(rng, (3,)), numbers(rng, (2, 3, 6))]),
        "linear, complex": (
            fbt.linear_recurrence,
            [0.5 * numbers(rng, (2, 6), complex_), numbers(rng, (2, 6), complex_)],
        ),
        "product": (lambda x, w: fbt.band_matmul(x, w, 2, 1), [numbers(rng, (2, 3, 6)), numbers(rng, (4, 6))]),
        "product, complex": (
            lambda x, w: fbt.band_matmul(x, w, 1, 0),
            [numbers(rng, (2, 4), complex_), numbers(rng, (2, 4), complex_)],
        ),
        "layer": (
            lambda *weights: fbt.band_rnn(*weights, lower=1, upper=2),
            [0.5 * numbers(rng, shape) for shape in ((4, 2, 3), (5, 3), (4, 5), (5,), (5,), (2, 5))],
        ),
        "layer, reverse": (
            lambda *weights: fbt.band_rnn(*weights, lower=1, reverse=True, batch_first=True),
            [0.5 * numbers(rng, shape) for shape in ((2, 4, 3), (5, 3), (3, 5))],
        ),
        "layer, one step": (
            lambda *weights: fbt.band_rnn(*weights, lower=0),
            [0.5 * numbers(rng, shape) for shape in ((1, 3), (4, 3), (1, 4))],
        ),
    }  # fmt: skip


NAMES = list(cases(np.random.default_rng(0)))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_gradients(rng: np.random.Generator, name: str) -> None:
    check_gradients(*cases(rng)[name])


@pytest.mark.parametrize("name", [name for name in NAMES if "complex" not in name])
def test_forward_mode(rng: np.random.Generator, name: str) -> None:
    check_tangents(*cases(rng)[name])


@pytest.mark.parametrize("name", ["a bank with states", "sections", "linear", "layer"])
def test_in_a_graph_the_same(rng: np.random.Generator, name: str) -> None:
    """Gradients of a traced function, and traced gradients, of both orders."""
    function, inputs = cases(rng)[name]
    tensors = [tf.constant(value) for value in inputs]
    for ours in (gradients_of(function), gradients_of(gradients_of(function))):
        np.testing.assert_allclose(flat(tf.function(ours)(*tensors)), flat(ours(*tensors)), rtol=1e-12, atol=1e-12)
    outside = gradients_of(gradients_of(tf.function(function)))
    inside = gradients_of(gradients_of(function))
    np.testing.assert_allclose(flat(outside(*tensors)), flat(inside(*tensors)), rtol=1e-12, atol=1e-12)


def test_third_order(rng: np.random.Generator) -> None:
    check_gradients(fbt.lfilter, [numbers(rng, (2,)), poles(rng, (), 1), numbers(rng, (4,))], order=3)


@pytest.mark.parametrize("steps", [0, 1])
def test_short(rng: np.random.Generator, steps: int) -> None:
    def states(b: Any, a: Any, x: Any, zi: Any) -> Any:
        return fbt.lfilter(b, a, x, zi=zi)

    check_gradients(states, [numbers(rng, (3,)), poles(rng, (), 2), numbers(rng, (2, steps)), numbers(rng, (2,))])
    check_gradients(
        lambda *weights: fbt.band_rnn(*weights, lower=1),
        [numbers(rng, (steps, 2, 3)), numbers(rng, (4, 3)), numbers(rng, (3, 4))],
    )
