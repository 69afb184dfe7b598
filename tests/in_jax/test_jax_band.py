"""band_matmul and band_rnn for JAX: what a dense matrix gives."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import jax_loops as loops
import numpy as np
import pytest

from feedbackward.jax import band_matmul, band_rnn


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize(("n", "lower", "upper"), [(1, 0, 0), (6, 2, 1), (5, 0, 3), (37, 8, 8), (3, 5, 4), (300, 3, 0)])
@pytest.mark.parametrize("lead", [(), (2,), (4, 1, 3), (0,)])
def test_band_matmul_is_a_dense_product(
    dtype: Any, n: int, lower: int, upper: int, lead: Any, rng: np.random.Generator
) -> None:
    x, weight = loops.numbers(rng, (*lead, n), dtype), loops.numbers(rng, (lower + upper + 1, n), dtype)
    y = band_matmul(x, weight, lower, upper)
    assert y.dtype == dtype
    assert y.shape == x.shape
    expected = x @ loops.dense(weight, lower).T
    scale = np.finfo(dtype).eps * (lower + upper + 4)
    np.testing.assert_allclose(y, expected, rtol=10 * scale, atol=20 * scale)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("steps", [0, 1, 2, 33])
@pytest.mark.parametrize(("batch", "hidden"), [(1, 6), (3, 7), (16, 40), (0, 4)])
def test_band_rnn_is_the_loop(
    nonlinearity: str, dtype: Any, steps: int, batch: int, hidden: int, rng: np.random.Generator
) -> None:
    x = loops.numbers(rng, (steps, batch, 3), dtype)
    weight_ih, weight_hh = loops.numbers(rng, (hidden, 3), dtype), 0.2 * loops.numbers(rng, (4, hidden), dtype)
    bias, h_0 = loops.numbers(rng, (2, hidden), dtype), loops.numbers(rng, (batch, hidden), dtype)
    arguments = (weight_ih, weight_hh.astype(dtype), bias[0], bias[1], h_0)
    output, h_n = band_rnn(x, *arguments, lower=2, upper=1, nonlinearity=nonlinearity)
    matrix = loops.dense(weight_hh, 2)
    expected = loops.rnn(x, weight_ih, matrix, bias.sum(0), h_0, nonlinearity)
    last = expected[-1] if steps else h_0
    assert output.dtype == h_n.dtype == dtype
    np.testing.assert_allclose(output, expected, **loops.tolerance(dtype, steps))
    np.testing.assert_allclose(h_n, last, **loops.tolerance(dtype, steps))

    first, _ = band_rnn(x.swapaxes(0, 1), *arguments, lower=2, upper=1, nonlinearity=nonlinearity, batch_first=True)
    np.testing.assert_allclose(first, expected.swapaxes(0, 1), **loops.tolerance(dtype, steps))
    back, end = band_rnn(x[::-1], *arguments, lower=2, upper=1, nonlinearity=nonlinearity, reverse=True)
    np.testing.assert_allclose(back[::-1], expected, **loops.tolerance(dtype, steps))
    np.testing.assert_allclose(end, last, **loops.tolerance(dtype, steps))


def test_band_rnn_without_a_batch_a_bias_or_a_state(rng: np.random.Generator) -> None:
    x, weight_ih, weight_hh = (loops.numbers(rng, shape) for shape in ((9, 3), (5, 3), (3, 5)))
    output, h_n = band_rnn(x, weight_ih, weight_hh, lower=1)
    assert (output.shape, h_n.shape) == ((9, 5), (5,))
    batched, _ = band_rnn(x[:, None], weight_ih, weight_hh, jnp.zeros(5), h_0=jnp.zeros((1, 5)), lower=1)
    np.testing.assert_allclose(output, batched[:, 0], rtol=1e-12, atol=1e-14)


def test_what_lies_outside_of_the_band_is_never_read(rng: np.random.Generator) -> None:
    x, weight_ih, weight_hh = (loops.numbers(rng, shape) for shape in ((9, 2, 3), (5, 3), (3, 5)))
    expected, _ = band_rnn(x, weight_ih, weight_hh, lower=1)
    weight_hh[0, 0] = weight_hh[2, -1] = np.nan
    found, _ = band_rnn(x, weight_ih, weight_hh, lower=1)
    np.testing.assert_array_equal(found, expected)
