"""Sections as poles and a mix: what the numbers mean, round trips, stability, gradients."""

from __future__ import annotations

import math

import pytest
import torch
from closeness import assert_allclose
from scipy import signal

from feedbackward import design

FS = 16000


@pytest.mark.parametrize("frequency", [20.0, 1000.0, 7900.0])
@pytest.mark.parametrize("bandwidth", [2.0, 500.0, 6000.0])
def test_raw_numbers_are_logarithms_of_frequency_and_bandwidth(frequency: float, bandwidth: float) -> None:
    f = torch.tensor(frequency, dtype=torch.float64)
    q = design.q_from_bandwidth(f, bandwidth, sample_rate=FS)
    raw, mix = design.stable_section_inverse(design.bandpass(f, q, sample_rate=FS))
    expected = [math.log(math.tan(math.pi * frequency / FS)), -math.log(math.tan(math.pi * bandwidth / FS)) / 2]
    assert_allclose(raw, expected, rtol=1e-6, atol=1e-9)
    assert_allclose(mix, [0, 1, 0], atol=1e-7)


@pytest.mark.parametrize(
    ("kind", "mix"),
    [
        ("lowpass", (1.0, 0.0, 0.0)),
        ("highpass", (0.0, 0.0, 1.0)),
        ("bandpass", (0.0, 1.0, 0.0)),
        ("notch", (1.0, 0.0, 1.0)),
        ("allpass", (1.0, -1.0, 1.0)),
        ("peaking", (1.0, 2.0, 1.0)),
        ("lowshelf", (2.0, math.sqrt(2), 1.0)),
        ("highshelf", (1.0, math.sqrt(2), 2.0)),
    ],
)
def test_the_cookbook_in_mixes(kind: str, mix: tuple[float, float, float]) -> None:
    gain = (20 * math.log10(2),) if kind in design.GAIN_KINDS else ()
    row = design.KINDS[kind](torch.tensor(700.0, dtype=torch.float64), 0.9, *gain, sample_rate=FS)
    assert_allclose(design.stable_section_inverse(row)[1], mix, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("max_radius", [1.0, 0.9])
def test_round_trips(dtype: torch.dtype, max_radius: float) -> None:
    raw, mix = torch.randn(5, 2, dtype=dtype), torch.randn(5, 3, dtype=dtype)
    row = design.stable_section(raw, mix, max_radius)
    back = design.stable_section_inverse(row, max_radius)
    tolerance = 1e3 * torch.finfo(dtype).eps
    torch.testing.assert_close(back[0], raw, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(back[1], mix, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(design.stable_section(*back, max_radius), row, rtol=tolerance, atol=tolerance)
    assert (design.pole_radius(row[:, 3:]) < max_radius).all()


def test_scipy_designs_round_trip() -> None:
    for sos in (signal.ellip(6, 1, 60, 0.3, output="sos"), signal.butter(4, 1e-3, "high", output="sos")):
        back = design.stable_section(*design.stable_section_inverse(sos))
        assert_allclose(back, sos, rtol=1e-9, atol=1e-12)


def test_extremes_are_finite_with_finite_gradients() -> None:
    raw = torch.tensor([[1e30, 1e30], [-1e30, -1e30], [-40.0, 40.0]], requires_grad=True)
    row = design.stable_section(raw, torch.ones(3))
    row.sum().backward()
    assert torch.isfinite(row).all()
    assert torch.isfinite(raw.grad).all()


@pytest.mark.parametrize("max_radius", [1.0, 0.9])
def test_gradients(max_radius: float) -> None:
    raw = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    mix = torch.randn(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda raw, mix: design.stable_section(raw, mix, max_radius), (raw, mix))
    assert torch.autograd.gradgradcheck(lambda raw, mix: design.stable_section(raw, mix, max_radius), (raw, mix))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: design.stable_section(torch.zeros(3), torch.ones(3)),
            "stable_section: raw has shape (3,), expected (..., 2)",
        ),
        (
            lambda: design.stable_section(torch.zeros(2), torch.ones(2)),
            "stable_section: mix has shape (2,), expected (..., 3)",
        ),
        (
            lambda: design.stable_section_inverse(torch.ones(5)),
            "stable_section_inverse: sos has shape (5,), expected (..., 6)",
        ),
        (
            lambda: design.stable_section_inverse([1.0, 0.0, 0.0, 1.0, 0.0, 1.0]),
            "stable_section_inverse: a has a pole on or outside of max_radius = 1, or within rounding of it, "
            "expected all poles inside",
        ),
        (
            lambda: design.stable_section(torch.zeros(2), torch.ones(3), 2.0),
            "stable_section: max_radius is 2, expected a number above 0 and at most 1",
        ),
    ],
)
def test_errors(call, sentence: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()
    assert str(raised.value) == sentence
