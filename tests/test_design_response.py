"""Responses against scipy.signal, batches against their members, and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from closeness import assert_allclose
from scipy import signal

from feedbackward import design

B = np.array([[0.2, 0.3, 0.1, -0.4], [1.0, 0.0, 0.5, 0.2]])
A = np.array([[2.0, -1.1, 0.6], [0.5, 0.1, -0.2]])
SOS = np.stack([signal.butter(4, 0.3, output="sos"), signal.ellip(4, 1, 60, 0.2, output="sos")])


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("include_nyquist", [False, True])
@pytest.mark.parametrize("fs", [2 * np.pi, 48000.0])
@pytest.mark.parametrize("worN", [1, 7, 512])
def test_freqz_is_scipys(whole: bool, include_nyquist: bool, fs: float, worN: int) -> None:
    options = {"worN": worN, "whole": whole, "include_nyquist": include_nyquist, "fs": fs}
    w, h = design.freqz(B, A, **options)
    for row in range(2):
        expected_w, expected_h = signal.freqz(B[row], A[row], **options)
        assert_allclose(w, expected_w, rtol=1e-13, atol=1e-13)
        assert_allclose(h[row], expected_h, rtol=1e-12)


@pytest.mark.parametrize("fs", [2 * np.pi, 48000.0])
def test_at_given_frequencies(fs: float) -> None:
    at = np.array([0.0, 0.1, 0.33, 0.5, 0.9]) * fs
    for worN in (at, at.tolist(), torch.as_tensor(at)):
        assert_allclose(design.freqz(B[0], A[0], worN, fs=fs)[1], signal.freqz(B[0], A[0], at, fs=fs)[1])
        w, h = design.sosfreqz(SOS, worN, fs=fs)
        assert_allclose(w, at)
        assert_allclose(h[1], signal.sosfreqz(SOS[1], at, fs=fs)[1], atol=1e-14)


def test_fir_and_numbers() -> None:
    taps = signal.firwin(9, 0.4)
    assert_allclose(design.freqz(taps)[1], signal.freqz(taps)[1], rtol=1e-12, atol=1e-14)
    assert design.freqz([1.0, 1.0])[1].dtype == torch.complex64
    assert design.freqz(2.0, 4.0)[1].abs().allclose(torch.tensor(0.5))


def test_complex_coefficients() -> None:
    b, a = np.array([1.0, 0.5j]), np.array([1.0, -0.3 + 0.6j])
    assert_allclose(design.freqz(b, a, whole=True)[1], signal.freqz(b, a, whole=True)[1], rtol=1e-12)
    expected = signal.group_delay((b, a), 64, whole=True)[1]
    assert_allclose(design.group_delay((b, a), 64, whole=True)[1], expected, rtol=1e-9)
    assert design.pole_radius(torch.as_tensor(a)).item() == pytest.approx(abs(0.3 - 0.6j))


def test_float32_narrow_filter_is_evaluated_without_cancellation() -> None:
    row = design.bandpass(torch.tensor(20.0), 50.0, sample_rate=48000)
    single = design.freqz(row[:3], row[3:], [20.0], fs=48000)[1]
    double = design.freqz(row[:3].double(), row[3:].double(), [20.0], fs=48000)[1]
    assert single.dtype == torch.complex64
    torch.testing.assert_close(single.to(torch.complex128), double, rtol=1e-6, atol=0)


@pytest.mark.parametrize("fs", [2 * np.pi, 8000.0])
def test_group_delay_is_scipys(fs: float) -> None:
    for row in range(2):
        expected = signal.group_delay((B[row], A[row]), 100, fs=fs)
        w, delay = design.group_delay((torch.as_tensor(B), torch.as_tensor(A)), 100, fs=fs)
        assert_allclose(w, expected[0], rtol=1e-12)
        assert_allclose(delay[row], expected[1], rtol=1e-9)
    section_wise = design.group_delay(torch.as_tensor(SOS), 100)[1]
    expected = signal.group_delay(signal.sos2tf(SOS[1]), 100)[1]
    assert_allclose(section_wise[1], expected, rtol=1e-6)


def test_group_delay_at_a_zero_on_the_circle_is_finite() -> None:
    row = design.highpass(torch.tensor(1000.0, dtype=torch.float64), sample_rate=8000).requires_grad_()
    _, delay = design.group_delay((row[:3], row[3:]), [0.0, 500.0], fs=8000)
    assert torch.isfinite(delay).all()
    delay.sum().backward()
    assert torch.isfinite(row.grad).all()


def test_group_delay_is_the_slope_of_the_phase() -> None:
    w = torch.linspace(0.3, 0.3001, 2, dtype=torch.float64)
    phase = design.freqz(B[0], A[0], w)[1].angle()
    slope = -(phase[1] - phase[0]) / (w[1] - w[0])
    middle = design.group_delay((B[0], A[0]), w.mean()[None])[1]
    assert middle.item() == pytest.approx(slope.item(), rel=1e-5)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 7])
def test_pole_radius(order: int) -> None:
    a = torch.randn(6, order + 1, dtype=torch.float64)
    expected = [np.abs(np.roots(row)).max(initial=0.0) for row in a.numpy(force=True)]
    assert_allclose(design.pole_radius(a), expected, rtol=1e-9)
    assert design.pole_radius(a.reshape(2, 3, -1)).shape == (2, 3)


@pytest.mark.parametrize("pair", [(-1.6, 0.63), (-1.6, 0.9), (0.0, -0.5), (0.0, 0.5), (1.2, 0.2)])
def test_pole_radius_has_gradients(pair: tuple[float, float]) -> None:
    a = torch.tensor([1.0, *pair], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(design.pole_radius, a, atol=1e-6) or pair[0] == 0


def test_gradients() -> None:
    b, a = (torch.as_tensor(c).requires_grad_() for c in (B, A))
    w = torch.tensor([0.1, 1.0, 2.5], dtype=torch.float64, requires_grad=True)
    for function in (
        lambda b, a, w: design.freqz(b, a, w)[1],
        lambda b, a, w: design.group_delay((b, a), w)[1],
    ):
        assert torch.autograd.gradcheck(function, (b, a, w))
        assert torch.autograd.gradgradcheck(function, (b, a, w))
    sos = torch.as_tensor(SOS).requires_grad_()
    for function in (lambda sos, w: design.sosfreqz(sos, w)[1], lambda sos, w: design.group_delay(sos, w)[1]):
        assert torch.autograd.gradcheck(function, (sos, w))


def test_vmap_over_filters() -> None:
    b, a = torch.as_tensor(B), torch.as_tensor(A)
    h = torch.vmap(lambda b, a: design.freqz(b, a, 16)[1])(b, a)
    torch.testing.assert_close(h, design.freqz(b, a, 16)[1])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: design.freqz([1.0], worN=0), "freqz: the number of frequencies is 0, expected at least 1"),
        (lambda: design.freqz([1.0], worN=[[0.1]]), "freqz: the frequencies have shape (1, 1), expected one axis"),
        (lambda: design.freqz([]), "freqz: b has shape (0,), expected at least one coefficient"),
        (lambda: design.sosfreqz(torch.ones(6)), "sosfreqz: sos has shape (6,), expected (..., sections, 6)"),
        (
            lambda: design.group_delay(torch.ones(2, 5)),
            "group_delay: sos has shape (2, 5), expected (..., sections, 6)",
        ),
    ],
)
def test_errors(call, sentence: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()
    assert str(raised.value) == sentence
