"""filtfilt and sosfiltfilt against scipy.signal."""

from __future__ import annotations

import cases
import numpy as np
import pytest
import torch
from closeness import eps, largest, near
from scipy import signal
from torch.autograd import gradcheck, gradgradcheck

import feedbackward as fb

PADTYPES = ["odd", "even", "constant", None]
BUTTER = signal.butter(3, 0.25)
SOS = signal.cheby1(4, 0.5, 0.3, output="sos")


def tensors(*arrays) -> list[torch.Tensor]:
    return [torch.as_tensor(np.asarray(array)) for array in arrays]


def equal(actual: torch.Tensor, expected: np.ndarray) -> None:
    """Two passes of a well conditioned low-order filter, each with a gain of its errors below 100."""
    truth = torch.as_tensor(np.ascontiguousarray(expected))
    dtype = actual.dtype
    near(actual, truth, 1e3 * eps(dtype) * max(largest(truth), 1))


@pytest.mark.parametrize("padtype", PADTYPES)
@pytest.mark.parametrize("padlen", [None, 0, 1, 20])
@pytest.mark.parametrize("dim", [-1, 0, 1, -2])
def test_filtfilt_pads_as_scipy_does(padtype, padlen, dim):
    b, a = tensors(*BUTTER)
    x = torch.randn(40, 50, 30, dtype=torch.float64)
    equal(
        fb.filtfilt(b, a, x, dim, padtype, padlen), signal.filtfilt(*BUTTER, x.numpy(force=True), dim, padtype, padlen)
    )


@pytest.mark.parametrize("padtype", PADTYPES)
@pytest.mark.parametrize("padlen", [None, 0, 1, 20])
@pytest.mark.parametrize("dim", [-1, 0, 1, -2])
def test_sosfiltfilt_pads_as_scipy_does(padtype, padlen, dim):
    (sos,) = tensors(SOS)
    x = torch.randn(40, 50, 30, dtype=torch.float64)
    equal(
        fb.sosfiltfilt(sos, x, dim, padtype, padlen), signal.sosfiltfilt(SOS, x.numpy(force=True), dim, padtype, padlen)
    )


@pytest.mark.parametrize("dtype", cases.DTYPES, ids=str)
def test_every_dtype(dtype):
    x = torch.randn(3, 200, dtype=dtype)
    wide = x.numpy(force=True).astype(np.complex128 if dtype.is_complex else np.float64)
    b, a = (c.to(dtype) for c in tensors(*BUTTER))
    y = fb.filtfilt(b, a, x)
    assert y.dtype == dtype
    equal(y, signal.filtfilt(*BUTTER, wide))
    y = fb.sosfiltfilt(tensors(SOS)[0].to(dtype), x)
    assert y.dtype == dtype
    equal(y, signal.sosfiltfilt(SOS, wide))


@pytest.mark.parametrize(("nb", "na"), [(3, 1), (1, 3), (5, 2), (2, 5)])
def test_numerators_and_denominators_of_any_length(nb, na):
    b, a = cases.numerator((), nb), cases.denominator((), na, radius=0.6, a0=2.0)
    x = torch.randn(60, dtype=torch.float64)
    expected = signal.filtfilt(b.numpy(force=True), a.numpy(force=True), x.numpy(force=True))
    equal(fb.filtfilt(b, a, x), expected)


def test_a_mere_gain_is_applied_twice():
    x = torch.randn(20, dtype=torch.float64)
    equal(fb.filtfilt(*tensors([3.0], [2.0]), x), 2.25 * x.numpy(force=True))


def test_sections_with_a_zero_at_the_end_have_a_shorter_default_padding():
    """scipy subtracts the order that trailing zero coefficients do not have."""
    sos = signal.butter(3, 0.3, output="sos")
    x = torch.randn(100, dtype=torch.float64)
    equal(fb.sosfiltfilt(torch.as_tensor(sos), x), signal.sosfiltfilt(sos, x.numpy(force=True)))


def test_the_shortest_signal_that_can_be_padded():
    b, a = tensors(*BUTTER)
    x = torch.randn(13, dtype=torch.float64)
    equal(fb.filtfilt(b, a, x), signal.filtfilt(*BUTTER, x.numpy(force=True)))


def test_filters_broadcast_against_signals():
    cutoffs = (0.1, 0.3, 0.6)
    b, a = (torch.stack(c) for c in zip(*(tensors(*signal.butter(2, f)) for f in cutoffs), strict=True))
    x = torch.randn(5, 1, 80, dtype=torch.float64)
    y = fb.filtfilt(b, a, x)
    assert y.shape == (5, 3, 80)
    for i, cutoff in enumerate(cutoffs):
        equal(y[:, i], signal.filtfilt(*signal.butter(2, cutoff), x[:, 0].numpy(force=True)))
    sos = torch.stack([torch.as_tensor(signal.butter(4, f, output="sos")) for f in cutoffs])
    y = fb.sosfiltfilt(sos, x)
    for i, cutoff in enumerate(cutoffs):
        equal(y[:, i], signal.sosfiltfilt(signal.butter(4, cutoff, output="sos"), x[:, 0].numpy(force=True)))


def test_a_symmetric_signal_stays_symmetric():
    """Zero phase: with no edge in reach, forward and backward treat time alike."""
    b, a = tensors(*BUTTER)
    x = torch.zeros(401, dtype=torch.float64)
    x[200] = 1
    y = fb.filtfilt(b, a, x)
    near(y, y.flip(-1), 100 * eps(torch.float64))


@pytest.mark.parametrize("padtype", PADTYPES)
def test_gradients(padtype):
    b, a = (c.requires_grad_() for c in tensors(*signal.butter(2, 0.3)))
    x = torch.randn(2, 9, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda b, a, x: fb.filtfilt(b, a, x, padtype=padtype, padlen=4), (b, a, x))
    assert gradgradcheck(lambda b, a, x: fb.filtfilt(b, a, x, padtype=padtype, padlen=4), (b, a, x), fast_mode=True)
    sos = cases.sections((), 2, radius=0.6).requires_grad_()
    assert gradcheck(lambda sos, x: fb.sosfiltfilt(sos, x, padtype=padtype, padlen=4), (sos, x))
    assert gradgradcheck(lambda sos, x: fb.sosfiltfilt(sos, x, padtype=padtype, padlen=4), (sos, x), fast_mode=True)


def test_arguments_are_left_alone():
    b, a = tensors(*BUTTER)
    x = torch.randn(3, 50, dtype=torch.float64)
    copies = [t.clone() for t in (b, a, x)]
    fb.filtfilt(b, a, x).fill_(7)
    fb.sosfiltfilt(tensors(SOS)[0], x).fill_(7)
    for tensor, copy in zip((b, a, x), copies, strict=True):
        torch.testing.assert_close(tensor, copy, rtol=0, atol=0)
