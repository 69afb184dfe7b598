"""Frequency scales against published values, and bands that tile their range."""

from __future__ import annotations

import math

import pytest
import torch

from feedbackward import design


@pytest.mark.parametrize(
    ("scale", "hz", "value"),
    [
        ("mel", 0.0, 0.0),
        ("mel", 500.0, 7.5),
        ("mel", 1000.0, 15.0),
        ("mel", 6400.0, 42.0),  # 27 steps of equal ratio from 1 to 6.4 kHz
        ("mel_htk", 1000.0, 999.9855),
        ("mel_htk", 700.0, 2595 * math.log10(2)),
        ("erb", 1000.0, 21.4 * math.log10(5.37)),
        ("bark", 1960.0, 26.81 / 2 - 0.53),
        ("bark", 1000.0, 8.5274),
        ("octave", 1024.0, 10.0),
        ("linear", 123.0, 123.0),
    ],
)
def test_published_values(scale: str, hz: float, value: float) -> None:
    assert design.hz_to_scale(torch.tensor(hz, dtype=torch.float64), scale).item() == pytest.approx(value, rel=1e-5)


def test_an_erb_is_one_step_of_the_erb_scale() -> None:
    f = torch.tensor([100.0, 1000.0, 8000.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(design.hz_to_scale(f, "erb").sum(), f)
    torch.testing.assert_close(1 / slope, design.erb_bandwidth(f), rtol=5e-3, atol=0)  # 21.4 is rounded


@pytest.mark.parametrize("scale", design.SCALES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip_and_order(scale: str, dtype: torch.dtype) -> None:
    f = torch.logspace(0, math.log10(24000), 500, dtype=dtype)
    value = design.hz_to_scale(f, scale)
    assert (value.diff() > 0).all()
    torch.testing.assert_close(design.scale_to_hz(value, scale), f, rtol=100 * torch.finfo(dtype).eps, atol=1e-4)


@pytest.mark.parametrize("scale", design.SCALES)
def test_gradients(scale: str) -> None:
    f = torch.tensor([120.0, 5000.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: design.hz_to_scale(f, scale), f)
    value = design.hz_to_scale(f.detach(), scale).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: design.scale_to_hz(v, scale), value)
    assert torch.autograd.gradgradcheck(lambda v: design.scale_to_hz(v, scale), value)


@pytest.mark.parametrize("scale", design.SCALES)
@pytest.mark.parametrize("count", [1, 2, 40])
def test_bands_tile_the_range(scale: str, count: int) -> None:
    edges = design.edges(50.0, 8000.0, count, scale)
    centers = design.space(50.0, 8000.0, count, scale)
    assert edges.shape == (count + 1,)
    torch.testing.assert_close(edges[[0, -1]], torch.tensor([50.0, 8000.0]))
    assert ((edges[:-1] < centers) & (centers < edges[1:])).all()
    torch.testing.assert_close(design.bandwidths(50.0, 8000.0, count, scale), edges.diff())
    steps = design.hz_to_scale(edges.double(), scale).diff()
    torch.testing.assert_close(steps, steps.mean().expand(count), rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: design.space(0.0, 1.0, 0), "space: count is 0, expected an integer of at least 1"),
        (lambda: design.space(0.0, 1.0, 2.5), "space: count is 2.5, expected an integer of at least 1"),
        (lambda: design.edges(-1.0, 1.0, 2), "edges: low is -1, expected a frequency in Hz that is not negative"),
        (
            lambda: design.space(0.0, 1.0, 2, "octave"),
            "space: low holds 0, expected a positive frequency in Hz on the octave scale",
        ),
        (
            lambda: design.bandwidths(8.0, 5.0, 2),
            "bandwidths: high holds 5, expected a finite frequency in Hz above low = 8",
        ),
        (
            lambda: design.hz_to_scale(1.0, "meal"),
            "hz_to_scale: scale is 'meal', expected one of mel, mel_htk, erb, bark, octave, linear",
        ),
        (
            lambda: design.scale_to_hz(1.0, "meal"),
            "scale_to_hz: scale is 'meal', expected one of mel, mel_htk, erb, bark, octave, linear",
        ),
    ],
)
def test_errors(call, sentence: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()
    assert str(raised.value) == sentence
