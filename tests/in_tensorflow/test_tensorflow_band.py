"""Banded products and layers in TensorFlow give the numbers of dense matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from jax_loops import dense, numbers, rnn, tolerance

import feedbackward.tensorflow as fbt

WIDTHS = [(0, 0), (1, 1), (2, 0), (0, 3), (9, 7)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("widths", WIDTHS)
def test_products(rng: np.random.Generator, widths: tuple[int, int], dtype: Any) -> None:
    for n in (1, 6, 33):
        weight = numbers(rng, (sum(widths) + 1, n), dtype)
        for lead in ((), (5,), (2, 3), (40,), (0,)):
            x = numbers(rng, (*lead, n), dtype)
            y = fbt.band_matmul(x, weight, *widths)
            assert y.dtype == tf.as_dtype(dtype)
            np.testing.assert_allclose(y, x @ dense(weight, widths[0]).T, **tolerance(dtype, 10 * sum(widths)))


def test_what_lies_outside_is_not_read(rng: np.random.Generator) -> None:
    weight = numbers(rng, (3, 5))
    weight[0, 0] = weight[2, -1] = np.nan
    x = tf.constant(numbers(rng, (4, 5)))
    with tf.GradientTape() as tape:
        tape.watch(inputs := [x, tf.constant(weight)])
        y = fbt.band_matmul(*inputs, 1, 1)
    assert np.isfinite(y).all()
    d_x, d_weight = tape.gradient(y, inputs)
    assert np.isfinite(d_x).all()
    assert d_weight[0, 0] == d_weight[2, -1] == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("widths", [(1, 1), (3, 0), (0, 2)])
@pytest.mark.parametrize("steps", [0, 1, 2, 37])
def test_layers(rng: np.random.Generator, steps: int, widths: tuple[int, int], nonlinearity: str, dtype: Any) -> None:
    lower, upper = widths
    x, weight_ih = numbers(rng, (steps, 4, 3), dtype), numbers(rng, (7, 3), dtype)
    weight_hh = 0.3 * numbers(rng, (lower + upper + 1, 7), dtype)
    biases, h_0 = numbers(rng, (2, 7), dtype), numbers(rng, (4, 7), dtype)
    settings: dict[str, Any] = {"lower": lower, "upper": upper, "nonlinearity": nonlinearity}
    expected = rnn(x, weight_ih, dense(weight_hh, lower), biases.sum(0), h_0, nonlinearity)
    near = tolerance(dtype, 100)

    output, h_n = fbt.band_rnn(x, weight_ih, weight_hh, *biases, h_0, **settings)
    np.testing.assert_allclose(output, expected, **near)
    np.testing.assert_allclose(h_n, expected[-1] if steps else h_0, **near)
    turned, last = fbt.band_rnn(x.swapaxes(0, 1), weight_ih, weight_hh, *biases, h_0, batch_first=True, **settings)
    np.testing.assert_array_equal(tf.transpose(turned, [1, 0, 2]), output)
    np.testing.assert_array_equal(last, h_n)
    one, last = fbt.band_rnn(x[:, 0], weight_ih, weight_hh, *biases, h_0[0], **settings)
    np.testing.assert_allclose(one, expected[:, 0], **near)
    back, first = fbt.band_rnn(x[::-1], weight_ih, weight_hh, *biases, h_0, reverse=True, **settings)
    np.testing.assert_allclose(back, expected[::-1], **near)
    np.testing.assert_allclose(first, h_n, **near)
    plain, _ = fbt.band_rnn(x, weight_ih, weight_hh, **settings)
    zeros = rnn(x, weight_ih, dense(weight_hh, lower), 0, np.zeros((4, 7)), nonlinearity)
    np.testing.assert_allclose(plain, zeros, **near)


def test_upper_is_lower_by_default(rng: np.random.Generator) -> None:
    x, weight_ih, weight_hh = numbers(rng, (5, 2, 3)), numbers(rng, (4, 3)), numbers(rng, (3, 4))
    found = [fbt.band_rnn(x, weight_ih, weight_hh, lower=1, upper=upper)[0] for upper in (1, None)]
    np.testing.assert_array_equal(*found)
