"""lfilter, sosfilt and linear_recurrence for JAX: scipy's numbers, any broadcasting, any axis, every dtype."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import jax_loops as loops
import numpy as np
import pytest
from scipy import signal

from feedbackward.jax import lfilter, linear_recurrence, sosfilt

DTYPES = (np.float32, np.float64, np.complex64, np.complex128)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("steps", loops.LENGTHS)
def test_lfilter_is_scipys(dtype: Any, steps: int, rng: np.random.Generator) -> None:
    b, a = loops.numbers(rng, (4,), dtype), loops.poles(rng, (), 3, dtype)
    x, zi = loops.numbers(rng, (2, steps), dtype), loops.numbers(rng, (2, 3), dtype)
    expected, state = signal.lfilter(b, a, x.astype(loops.wide(dtype)), zi=zi) if steps else (x, zi)
    y, zf = lfilter(b, a, x, zi=zi)
    assert y.dtype == zf.dtype == dtype
    np.testing.assert_allclose(y, expected, **loops.tolerance(dtype, steps))
    np.testing.assert_allclose(zf, state, **loops.tolerance(dtype, steps))


@pytest.mark.parametrize("orders", [(1, 0), (0, 1), (0, 0), (5, 2), (1, 6), (12, 12)])
@pytest.mark.parametrize("leading", loops.LEADING, ids=str)
def test_lfilter_broadcasts(leading: Any, orders: Any, rng: np.random.Generator) -> None:
    of_b, of_a, of_x, of_zi = leading
    b, a = loops.numbers(rng, (*of_b, orders[0] + 1)), loops.poles(rng, of_a, orders[1])
    x, zi = loops.numbers(rng, (*of_x, 37)), loops.numbers(rng, (*of_zi, max(orders)))
    y, zf = lfilter(b, a, x, zi=zi)
    expected, state = loops.lfilter(b, a, x, zi)
    np.testing.assert_allclose(y, expected, **loops.tolerance(y.dtype, 37))
    np.testing.assert_allclose(zf, state, **loops.tolerance(y.dtype, 37))
    np.testing.assert_allclose(lfilter(b, a, x), loops.lfilter(b, a, x)[0], **loops.tolerance(y.dtype, 37))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_every_axis_may_be_time(axis: int, rng: np.random.Generator) -> None:
    b, a, x = loops.numbers(rng, (3,)), loops.poles(rng, (), 2), loops.numbers(rng, (4, 5, 6))
    np.testing.assert_allclose(lfilter(b, a, x, axis), signal.lfilter(b, a, x, axis), rtol=1e-12, atol=1e-12)
    sos = np.concatenate([np.stack([b, b]), np.stack([a, a])], -1)
    expected = signal.lfilter(b, a, signal.lfilter(b, a, x, axis), axis)
    np.testing.assert_allclose(sosfilt(sos, x, axis), expected, rtol=1e-12, atol=1e-12)
    decay = np.array(0.7)
    expected = np.moveaxis(loops.linear_recurrence(decay, np.moveaxis(x, axis, -1)), -1, axis)
    np.testing.assert_allclose(linear_recurrence(decay, x, axis=axis), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("steps", loops.LENGTHS)
@pytest.mark.parametrize("sections", [1, 2, 5])
def test_sosfilt_is_scipys(steps: int, sections: int, rng: np.random.Generator) -> None:
    sos = np.concatenate([loops.numbers(rng, (sections, 3)), loops.poles(rng, (sections,), 2)], -1)
    x, zi = loops.numbers(rng, (3, steps)), loops.numbers(rng, (3, sections, 2))
    y, zf = sosfilt(sos, x, zi=zi)
    divided = sos / sos[:, 3:4]  # scipy wants a0 = 1
    before = np.moveaxis(zi, 1, 0)
    expected, state = signal.sosfilt(divided, x, zi=before) if steps else (x, before)
    np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(zf, np.moveaxis(state, 0, 1), rtol=1e-11, atol=1e-11)


def test_a_block_continues_where_the_one_before_ended(rng: np.random.Generator) -> None:
    b, a, x = loops.numbers(rng, (3,)), loops.poles(rng, (), 2), loops.numbers(rng, (100,))
    first, state = lfilter(b, a, x[:33], zi=np.zeros(2))
    rest, _ = lfilter(b, a, x[33:], zi=state)
    np.testing.assert_allclose(jnp.concatenate([first, rest]), signal.lfilter(b, a, x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("interpolation", ["hold", "linear"])
def test_coefficients_that_move(interpolation: str, rng: np.random.Generator) -> None:
    hop, frames, steps = 8, 6, 45
    b, a = loops.numbers(rng, (2, frames, 3)), loops.poles(rng, (2, frames), 2)
    x = loops.numbers(rng, (2, steps))
    b_1, a_1 = b / a[..., :1], a / a[..., :1]
    state, expected = np.zeros((2, 2)), np.zeros((2, steps))
    for t in range(steps):
        now, share = divmod(t, hop)
        after = min(now + 1, frames - 1) if interpolation == "linear" else now
        b_t, a_t = (c[:, now] + (c[:, after] - c[:, now]) * share / hop for c in (b_1, a_1))
        y, state = loops.lfilter(b_t, a_t, x[:, t : t + 1], state)
        expected[:, t] = y[:, 0]
    found = lfilter(b, a, x, hop=hop, interpolation=interpolation)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
    sos = np.concatenate([b, a], -1)[..., None, :]
    np.testing.assert_allclose(sosfilt(sos, x, hop=hop, interpolation=interpolation), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("steps", loops.LENGTHS)
def test_linear_recurrence_is_the_loop(dtype: Any, steps: int, rng: np.random.Generator) -> None:
    decay, x = 0.5 * loops.numbers(rng, (4, steps), dtype), loops.numbers(rng, (3, 4, steps), dtype)
    decay /= np.maximum(np.abs(decay), 1)
    initial = loops.numbers(rng, (4,), dtype)
    h = linear_recurrence(decay[None], x, initial)
    assert h.dtype == dtype
    np.testing.assert_allclose(h, loops.linear_recurrence(decay, x, initial), **loops.tolerance(dtype, steps))


def test_a_decay_with_fewer_axes_has_no_time(rng: np.random.Generator) -> None:
    x = loops.numbers(rng, (2, 3, 5))
    decay = np.array([0.1, 0.5, 0.9])
    expected = loops.linear_recurrence(decay[:, None], x)
    np.testing.assert_allclose(linear_recurrence(decay, x), expected, rtol=1e-12)
    np.testing.assert_allclose(linear_recurrence(0.5, x), loops.linear_recurrence(np.array(0.5), x), rtol=1e-12)
    assert linear_recurrence(0.5j, x).dtype == np.complex128
    time_first = linear_recurrence(decay, np.moveaxis(x, -1, 0), axis=0)
    np.testing.assert_allclose(time_first, np.moveaxis(expected, -1, 0), rtol=1e-12)


def test_a_narrow_signal_may_be_computed_in_double(rng: np.random.Generator) -> None:
    b, a = signal.butter(4, 0.001)  # poles so close to the circle that float32 loses them
    x = loops.numbers(rng, (2000,), np.float32)
    y, zf = lfilter(b, a, x, zi=np.zeros(4), compute_dtype=np.float64)
    assert (y.dtype, zf.dtype) == (np.float32, np.float64)
    expected = signal.lfilter(b, a, x.astype(np.float64))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_dtypes_are_promoted_and_numbers_do_not_widen() -> None:
    b, a, x = np.ones(1, np.float32), np.ones(1, np.float32), np.ones(3, np.float32)
    assert lfilter(b, a, x).dtype == np.float32
    assert lfilter(b.astype(np.float64), a, x).dtype == np.float64
    assert lfilter(b.astype(np.complex64), a, x).dtype == np.complex64
    assert linear_recurrence(np.array(0.5), x).dtype == np.float32


def test_one_unstable_lane_does_not_touch_another(rng: np.random.Generator) -> None:
    b, a = np.ones((3, 1)), np.array([[1.0, 0.5], [1.0, -1e300], [1.0, 0.5]])
    x = loops.numbers(rng, (3, 50))
    y = np.asarray(lfilter(b, a, x))
    assert not np.isfinite(y[1]).all()
    np.testing.assert_allclose(y[[0, 2]], signal.lfilter(b[0], a[0], x[[0, 2]]), rtol=1e-12)


def test_a_long_signal_is_the_same_on_any_number_of_lanes(rng: np.random.Generator) -> None:
    b, a, x = loops.numbers(rng, (3,)), loops.poles(rng, (), 2), loops.numbers(rng, (70001,))
    expected = signal.lfilter(b, a, x)
    np.testing.assert_allclose(lfilter(b, a, x), expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(lfilter(b, a, np.stack([x] * 20))[7], expected, rtol=1e-10, atol=1e-10)


def test_jit_gives_the_same_bits(rng: np.random.Generator) -> None:
    b, a, x = loops.numbers(rng, (3,)), loops.poles(rng, (), 2), loops.numbers(rng, (4, 300))
    np.testing.assert_array_equal(jax.jit(lfilter)(b, a, x), lfilter(b, a, x))
