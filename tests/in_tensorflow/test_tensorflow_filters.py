"""lfilter, sosfilt and linear_recurrence in TensorFlow give the numbers of the plain loops and of scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from jax_loops import LEADING, LENGTHS, numbers, poles, tolerance
from jax_loops import lfilter as loop
from jax_loops import linear_recurrence as linear_loop
from scipy import signal

import feedbackward.tensorflow as fbt

DTYPES = (np.float32, np.float64, np.complex64, np.complex128)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("leading", LEADING)
def test_broadcasting_and_states(rng: np.random.Generator, dtype: Any, leading: Any) -> None:
    for terms in ((3, 3), (1, 4), (4, 1), (1, 1)):
        b = numbers(rng, (*leading[0], terms[0]), dtype)
        a = poles(rng, leading[1], terms[1] - 1, dtype)
        x = numbers(rng, (*leading[2], 37), dtype)
        zi = numbers(rng, (*leading[3], max(terms) - 1), dtype)
        y, zf = fbt.lfilter(b, a, x, zi=zi)
        expected, after = loop(b, a, x, zi)
        assert y.dtype == zf.dtype == tf.as_dtype(dtype)
        np.testing.assert_allclose(y, expected, **tolerance(dtype, 37))
        np.testing.assert_allclose(zf, after, **tolerance(dtype, 37))


@pytest.mark.parametrize("steps", LENGTHS)
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_lengths_and_axes_against_scipy(rng: np.random.Generator, steps: int, axis: int) -> None:
    shape = [3, 4, 5]
    shape[axis] = steps
    x, b, a = numbers(rng, tuple(shape)), numbers(rng, (3,)), poles(rng, (), 2)
    y = fbt.lfilter(b, a, x, axis)
    assert y.shape == x.shape
    if steps:
        np.testing.assert_allclose(y, signal.lfilter(b, a, x, axis), **tolerance(np.float64, steps))


def test_one_long_signal_and_its_blocks(rng: np.random.Generator) -> None:
    x, b, a = numbers(rng, (70000,)), numbers(rng, (3,)), poles(rng, (), 2)
    whole = fbt.lfilter(b, a, x)
    np.testing.assert_allclose(whole, signal.lfilter(b, a, x), **tolerance(np.float64, 70000))
    state, blocks = np.zeros(2), []
    for block in np.split(x, [1, 100, 33333]):
        y, state = fbt.lfilter(b, a, block, zi=state)
        blocks.append(y)
    np.testing.assert_allclose(np.concatenate(blocks), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("interpolation", ["hold", "linear"])
@pytest.mark.parametrize("hop", [1, 4, 7, 100])
def test_coefficients_that_move(rng: np.random.Generator, hop: int, interpolation: str) -> None:
    steps, extra = 29, int(interpolation == "linear")
    frames = -(-steps // hop) + extra
    b, a = numbers(rng, (frames, 3)), poles(rng, (frames,), 2)
    x = numbers(rng, (2, steps))
    y = fbt.lfilter(b, a, x, hop=hop, interpolation=interpolation)
    state, expected = np.zeros((2, 2)), []
    for t in range(steps):
        frame, part = divmod(t, hop)
        following = min(frame + extra, frames - 1)
        now = [
            (1 - part / hop) * c[frame] / a[frame, 0] + part / hop * c[following] / a[following, 0]
            if extra
            else c[frame] / a[frame, 0]
            for c in (b, a)
        ]
        one, state = loop(*now, x[:, t : t + 1], state)
        expected.append(one)
    np.testing.assert_allclose(y, np.concatenate(expected, -1), **tolerance(np.float64, steps))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("steps", LENGTHS)
def test_sections(rng: np.random.Generator, dtype: Any, steps: int) -> None:
    sos = np.concatenate([0.6 * numbers(rng, (4, 3, 3)), poles(rng, (4, 3), 2)], -1).astype(dtype)
    x, zi = numbers(rng, (2, 1, steps), dtype), numbers(rng, (4, 3, 2), dtype)
    y, zf = fbt.sosfilt(sos, x, zi=zi)
    assert y.shape == (2, 4, steps)
    assert zf.shape == (2, 4, 3, 2)
    u = x.astype(np.float64)
    for k in range(3):
        u, after = loop(sos[:, k, :3], sos[:, k, 3:], u, zi[:, k])
        np.testing.assert_allclose(zf[:, :, k], after, **tolerance(dtype, 8 * steps))
    np.testing.assert_allclose(y, u, **tolerance(dtype, 8 * steps))


def test_a_wider_dtype_inside(rng: np.random.Generator) -> None:
    """Poles so close to the circle that float32 is not enough."""
    b, a = signal.butter(2, 1e-4)
    x = numbers(rng, (3000,), np.float32)
    y = fbt.lfilter(b, a, x, compute_dtype=tf.float64)
    assert y.dtype == tf.float32
    np.testing.assert_allclose(y, signal.lfilter(b, a, x.astype(np.float64)), rtol=1e-5, atol=1e-9)
    assert fbt.lfilter(b, a, x).dtype == tf.float64  # promoted
    assert fbt.lfilter(b.astype(np.complex64), a.astype(np.float32), x).dtype == tf.complex64


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("steps", LENGTHS)
def test_linear_recurrences(rng: np.random.Generator, dtype: Any, steps: int) -> None:
    x, initial = numbers(rng, (4, 3, steps), dtype), numbers(rng, (3,), dtype)
    for shape in ((4, 3, steps), (4, 3, 1), (1, 3, steps), (1, 1, 1)):
        decay = 0.3 * numbers(rng, shape, dtype)
        expected = linear_loop(decay, x, initial)
        np.testing.assert_allclose(fbt.linear_recurrence(decay, x, initial), expected, **tolerance(dtype, steps))
        turned = fbt.linear_recurrence(np.moveaxis(decay, -1, 0), np.moveaxis(x, -1, 0), initial, axis=0)
        np.testing.assert_allclose(turned, np.moveaxis(expected, -1, 0), **tolerance(dtype, steps))
    without_time = 0.3 * numbers(rng, (3,), dtype)
    expected = linear_loop(without_time[:, None], x)
    np.testing.assert_allclose(fbt.linear_recurrence(without_time, x), expected, **tolerance(dtype, steps))
    np.testing.assert_allclose(fbt.linear_recurrence(0.25, x), linear_loop(0.25, x), **tolerance(dtype, steps))


def test_variables_and_lists() -> None:
    b, a = tf.Variable([0.5]), tf.Variable([1.0, -0.5])
    with tf.GradientTape() as tape:
        y = fbt.lfilter(b, a, [1.0, 1.0, 1.0])
    assert [g.shape for g in tape.gradient(y, [b, a])] == [[1], [2]]
    np.testing.assert_allclose(y, [0.5, 0.75, 0.875])


def test_an_unstable_lane_stays_alone(rng: np.random.Generator) -> None:
    a = np.array([[1.0, -0.5], [1.0, -50.0], [1.0, -0.5]], np.float32)
    y = fbt.lfilter(np.ones((3, 1), np.float32), a, np.ones(300, np.float32)).numpy()
    assert np.isinf(y[1]).any()
    np.testing.assert_array_equal(y[0], y[2])
    assert np.isfinite(y[0]).all()
