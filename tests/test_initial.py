"""lfilter_zi, sosfilt_zi and lfiltic against scipy.signal, and what the states they return do."""

from __future__ import annotations

import cases
import numpy as np
import pytest
import torch
from closeness import eps, near
from scipy import signal
from torch.autograd import gradcheck, gradgradcheck

import feedbackward as fb


def same(actual: torch.Tensor, expected: np.ndarray, dtype: torch.dtype = torch.float64) -> None:
    """Low orders with A(1) away from zero: solving for the state amplifies rounding by less than 1000."""
    truth = torch.as_tensor(np.ascontiguousarray(expected))
    near(actual, truth, 1e3 * eps(dtype) * max(1.0, truth.abs().max().item() if truth.numel() else 0))


@pytest.mark.parametrize(("nb", "na"), [(1, 2), (2, 2), (3, 3), (1, 4), (4, 1), (5, 2), (2, 6), (7, 7)])
@pytest.mark.parametrize("dtype", cases.DTYPES, ids=str)
def test_lfilter_zi(nb, na, dtype):
    b, a = cases.numerator((), nb, dtype), cases.denominator((), na, dtype, radius=0.5, a0=1.7)
    wide = cases.WIDE.get(dtype, dtype)
    zi = fb.lfilter_zi(b, a)
    assert zi.dtype == dtype
    if dtype.is_complex:  # scipy drops the imaginary part, so the step response itself is the truth
        step, zf = fb.lfilter(b, a, torch.ones(50, dtype=dtype), zi=zi)
        near(step, step[0].expand(50), 1e3 * eps(dtype))
        near(zf, zi, 1e3 * eps(dtype))
    else:
        same(zi, signal.lfilter_zi(b.to(wide).numpy(force=True), a.to(wide).numpy(force=True)), dtype)


def test_lfilter_zi_of_many_filters():
    b, a = cases.numerator((3, 1), 3), cases.denominator((1, 4), 4, radius=0.5, a0=2.0)
    zi = fb.lfilter_zi(b, a)
    assert zi.shape == (3, 4, 3)
    for i in range(3):
        for j in range(4):
            same(zi[i, j], signal.lfilter_zi(b[i, 0].numpy(force=True), a[0, j].numpy(force=True)))


def test_lfilter_zi_starts_a_step_in_its_steady_state():
    b, a = (torch.as_tensor(c) for c in signal.butter(4, 0.2))
    y, _ = fb.lfilter(b, a, torch.full((100,), 3.0, dtype=torch.float64), zi=3 * fb.lfilter_zi(b, a))
    near(y, torch.full_like(y, 3.0), 1e5 * eps(torch.float64))


@pytest.mark.parametrize("sections", [1, 2, 5])
def test_sosfilt_zi(sections):
    sos = signal.butter(2 * sections, 0.3, output="sos")
    same(fb.sosfilt_zi(torch.as_tensor(sos)), signal.sosfilt_zi(sos))


def test_sosfilt_zi_of_many_cascades():
    sos = cases.sections((3, 4), 2, radius=0.5)
    zi = fb.sosfilt_zi(sos)
    assert zi.shape == (3, 4, 2, 2)
    for i in range(3):
        for j in range(4):
            same(zi[i, j], signal.sosfilt_zi(sos[i, j].numpy(force=True)))


def test_sosfilt_zi_starts_a_step_in_its_steady_state():
    sos = torch.as_tensor(signal.cheby1(5, 1, 0.3, output="sos"))
    y, _ = fb.sosfilt(sos, torch.ones(100, dtype=torch.float64), zi=fb.sosfilt_zi(sos))
    near(y, y[..., :1].expand(100), 1e4 * eps(torch.float64))


@pytest.mark.parametrize(("nb", "na"), [(1, 1), (1, 2), (3, 3), (2, 5), (5, 2), (4, 1)])
@pytest.mark.parametrize("with_x", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_lfiltic(nb, na, with_x, dtype):
    b, a = cases.numerator((), nb, dtype), cases.denominator((), na, dtype, radius=0.5, a0=2.0)
    wide_b, wide_a = b.double().numpy(force=True), a.double().numpy(force=True)
    for past in range(max(nb, na) + 1):  # shorter histories are completed with zeros
        y = torch.randn(past, dtype=dtype)
        x = torch.randn(past, dtype=dtype) if with_x else None
        expected = signal.lfiltic(
            wide_b, wide_a, y.double().numpy(force=True), None if x is None else x.double().numpy(force=True)
        )
        zi = fb.lfiltic(b, a, y, x)
        assert zi.dtype == dtype
        same(zi, expected, dtype)


def test_lfiltic_resumes_a_filter():
    """The state from the last outputs and inputs, newest first, is the state that the filter itself returns."""
    b, a = cases.numerator((3,), 3), cases.denominator((3,), 4)
    x = torch.randn(3, 100, dtype=torch.float64)
    y, zf = fb.lfilter(b, a, x, zi=torch.zeros(3, 3, dtype=torch.float64))
    near(fb.lfiltic(b, a, y[:, -3:].flip(-1), x[:, -3:].flip(-1)), zf, 1e3 * eps(torch.float64))


def test_gradients():
    b, a = cases.numerator((2,), 3).requires_grad_(), cases.denominator((2,), 4, radius=0.5, a0=2.0).requires_grad_()
    y, x = (
        torch.randn(2, 3, dtype=torch.float64, requires_grad=True),
        torch.randn(2, 2, dtype=torch.float64, requires_grad=True),
    )
    sos = cases.sections((2,), 2, radius=0.5).requires_grad_()
    for function, inputs in ((fb.lfilter_zi, (b, a)), (fb.sosfilt_zi, (sos,)), (fb.lfiltic, (b, a, y, x))):
        assert gradcheck(function, inputs)
        assert gradgradcheck(function, inputs, fast_mode=True)
