"""What q means: bandwidths measured on the response, and round trips."""

from __future__ import annotations

import math

import pytest
import torch

from feedbackward import design

FS = 16000.0


@pytest.mark.parametrize("frequency", [50.0, 1000.0, 7000.0, 7900.0])
@pytest.mark.parametrize("bandwidth", [1.0, 90.0, 3000.0])
def test_bandwidth_is_measured_between_the_3_db_edges(frequency: float, bandwidth: float) -> None:
    f = torch.tensor(frequency, dtype=torch.float64)
    q = design.q_from_bandwidth(f, bandwidth, sample_rate=FS)
    row = design.bandpass(f, q, sample_rate=FS)
    # the edges: product of their tangents is that of the center, difference follows from the bandwidth
    t0, t = math.tan(math.pi * frequency / FS), math.tan(math.pi * bandwidth / FS)
    half = t * (1 + t0 * t0) / 2
    lower = math.atan(math.sqrt(half * half + t0 * t0) - half) * FS / math.pi
    upper = lower + bandwidth
    _, h = design.freqz(row[:3], row[3:], [lower, upper], fs=FS)
    torch.testing.assert_close(h.abs(), torch.full((2,), math.sqrt(0.5), dtype=torch.float64), rtol=1e-7, atol=0)


def test_bandwidth_round_trip_and_limit() -> None:
    f = torch.tensor([20.0, 400.0, 7990.0], dtype=torch.float64)
    q = torch.tensor([[0.3], [3.0], [300.0]], dtype=torch.float64)
    width = design.bandwidth_from_q(f, q, sample_rate=FS)
    torch.testing.assert_close(design.q_from_bandwidth(f, width, sample_rate=FS), q.expand(3, 3))
    assert width[2, 0].item() == pytest.approx(20 / 300, rel=1e-4)  # far below the sample rate: f / q


def test_octaves() -> None:
    f = torch.tensor(200.0, dtype=torch.float64)
    q = design.q_from_octaves(f, 1.0, sample_rate=FS)
    edges = f * torch.tensor([2**-0.5, 2**0.5])
    row = design.bandpass(f, q, sample_rate=FS)
    _, h = design.freqz(row[:3], row[3:], edges, fs=FS)
    torch.testing.assert_close(h.abs(), torch.full((2,), math.sqrt(0.5), dtype=torch.float64), rtol=2e-3, atol=0)


def test_slope_of_one_is_the_steepest_monotonic_shelf() -> None:
    for slope, monotonic in ((1.0, True), (0.5, True)):
        q = design.q_from_slope(slope, 12.0)
        _, h = design.freqz(*design.lowshelf(1000.0, q, 12.0, sample_rate=FS).double().split(3), worN=4000)
        assert bool((h.abs().diff() <= 1e-6).all()) is monotonic
    steeper = design.q_from_slope(torch.tensor(1.0), 12.0) * 1.2
    _, h = design.freqz(*design.lowshelf(1000.0, steeper, 12.0, sample_rate=FS).double().split(3), worN=4000)
    assert (h.abs().diff() > 1e-6).any()


def test_gradients() -> None:
    f, v = (torch.tensor([0.1, 0.3], dtype=torch.float64, requires_grad=True) for _ in range(2))
    for function in (design.q_from_bandwidth, design.bandwidth_from_q, design.q_from_octaves):
        assert torch.autograd.gradcheck(lambda f, v, function=function: function(f, v, sample_rate=1.0), (f, v))
        assert torch.autograd.gradgradcheck(lambda f, v, function=function: function(f, v, sample_rate=1.0), (f, v))
    assert torch.autograd.gradcheck(design.q_from_slope, (f, v))
    assert torch.autograd.gradgradcheck(design.q_from_slope, (f, v))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: design.q_from_bandwidth(100.0, 8000.0, sample_rate=FS),
            "q_from_bandwidth: bandwidth holds 8000, expected values strictly between 0 and sample_rate / 2 = 8000 Hz",
        ),
        (
            lambda: design.bandwidth_from_q(9000.0, 1.0, sample_rate=FS),
            "bandwidth_from_q: frequency holds 9000, expected values strictly between 0 and sample_rate / 2 = 8000 Hz",
        ),
        (
            lambda: design.bandwidth_from_q(900.0, -1.0, sample_rate=FS),
            "bandwidth_from_q: q holds -1, expected positive finite values",
        ),
        (
            lambda: design.q_from_octaves(900.0, 0.0, sample_rate=FS),
            "q_from_octaves: octaves holds 0, expected positive finite values",
        ),
        (
            lambda: design.q_from_slope(torch.tensor([1.5], device="cpu"), 0.0),
            "q_from_slope: slope holds 1.5, expected values above 0 and at most 1",
        ),
    ],
)
def test_errors(call, sentence: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()
    assert str(raised.value) == sentence
