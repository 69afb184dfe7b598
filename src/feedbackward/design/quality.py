"""What q means: bandwidth in Hz, bandwidth in octaves, shelf slope.

A second-order digital bandpass or notch with center w0 = 2 pi f / fs has alpha = sin(w0) / (2 q). The bilinear
transform maps its -3 dB edges w1, w2 to tan(w1/2) and tan(w2/2), whose product is tan^2(w0/2) and whose difference is
tan(w0/2) / q. By the subtraction formula of the tangent the digital bandwidth w2 - w1 obeys, exactly,

    tan((w2 - w1) / 2) = alpha        =>        q = sin(w0) / (2 tan(pi bandwidth / fs))

so that a bandwidth in Hz stays what it says right up to Nyquist. (q = f / bandwidth holds for the analog prototype,
and here only far below the sample rate.) For a peaking filter the edges are the points of half the gain in dB, for the
other kinds the bandwidth is that of the resonance.

Sources: S. Orfanidis, "Introduction to Signal Processing" (1996), chapter 11; R. Bristow-Johnson, "Cookbook formulae
for audio EQ biquad filter coefficients".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..formulas import cookbook as formulas
from ._operands import check_range, check_sample_rate, promote


def q_from_bandwidth(frequency: Tensor | float, bandwidth: Tensor | float, *, sample_rate: float) -> Tensor:
    """The q of a cookbook filter whose -3 dB bandwidth is `bandwidth` Hz: q = sin(w0) / (2 tan(pi bandwidth / fs)).

    Args:
        frequency: center frequency in Hz, in (0, sample_rate / 2), any shape.
        bandwidth: in Hz, in (0, sample_rate / 2). Broadcasts with `frequency`.
        sample_rate: in Hz.

    Returns:
        q, of the broadcast shape.

    Raises:
        ValueError: a frequency or bandwidth outside of (0, sample_rate / 2).

    Example:
        >>> round(q_from_bandwidth(100.0, 10.0, sample_rate=48000).item(), 3)
        10.0
    """
    f, width = promote("q_from_bandwidth", frequency=frequency, bandwidth=bandwidth)
    _check_band("q_from_bandwidth", sample_rate, frequency=frequency, bandwidth=bandwidth)
    return formulas.q_from_bandwidth(torch, f, width, sample_rate)


def bandwidth_from_q(frequency: Tensor | float, q: Tensor | float, *, sample_rate: float) -> Tensor:
    """The -3 dB bandwidth in Hz of a cookbook filter, the inverse of :func:`q_from_bandwidth`.

    Args:
        frequency: center frequency in Hz, in (0, sample_rate / 2), any shape.
        q: positive. Broadcasts with `frequency`.
        sample_rate: in Hz.

    Returns:
        Bandwidth in Hz, of the broadcast shape.

    Raises:
        ValueError: a frequency outside of (0, sample_rate / 2) or a q that is not positive.

    Example:
        >>> q = q_from_bandwidth(7000.0, 500.0, sample_rate=16000)
        >>> round(bandwidth_from_q(7000.0, q, sample_rate=16000).item(), 2)
        500.0
    """
    f, quality = promote("bandwidth_from_q", frequency=frequency, q=q)
    _check_band("bandwidth_from_q", sample_rate, frequency=frequency)
    check_range("bandwidth_from_q", "q", q, 0.0, math.inf, "positive finite values")
    return torch.atan(torch.sin(f * (2 * math.pi / sample_rate)) / (2 * quality)) * (sample_rate / math.pi)


def q_from_octaves(frequency: Tensor | float, octaves: Tensor | float, *, sample_rate: float) -> Tensor:
    """The q of a cookbook filter whose bandwidth is given in octaves: 1/q = 2 sinh(ln(2)/2 octaves w0 / sin(w0)).

    The factor w0 / sin(w0) makes up for the bilinear transform, to first order around the center.

    Args:
        frequency: center frequency in Hz, in (0, sample_rate / 2), any shape.
        octaves: bandwidth, positive. Broadcasts with `frequency`.
        sample_rate: in Hz.

    Returns:
        q, of the broadcast shape.

    Raises:
        ValueError: a frequency outside of (0, sample_rate / 2) or a bandwidth that is not positive.

    Example:
        >>> round(q_from_octaves(100.0, 1.0, sample_rate=48000).item(), 3)
        1.414
    """
    f, width = promote("q_from_octaves", frequency=frequency, octaves=octaves)
    _check_band("q_from_octaves", sample_rate, frequency=frequency)
    check_range("q_from_octaves", "octaves", octaves, 0.0, math.inf, "positive finite values")
    w0 = f * (2 * math.pi / sample_rate)
    return 0.5 / torch.sinh((math.log(2) / 2) * width * w0 / torch.sin(w0))


def q_from_slope(slope: Tensor | float, gain_db: Tensor | float) -> Tensor:
    """The q of a shelf from its slope: 1/q = sqrt((A + 1/A) (1/slope - 1) + 2) with A = 10^(gain_db / 40).

    Args:
        slope: in (0, 1]; 1 is the steepest shelf whose gain is monotonic in frequency.
        gain_db: gain of the shelf in dB. Broadcasts with `slope`.

    Returns:
        q, of the broadcast shape.

    Raises:
        ValueError: a slope outside of (0, 1].

    Example:
        >>> round(q_from_slope(1.0, 6.0).item(), 4)
        0.7071
    """
    steepness, gain = promote("q_from_slope", slope=slope, gain_db=gain_db)
    check_range("q_from_slope", "slope", slope, 0.0, 1 + 1e-6, "values above 0 and at most 1")  # 1, rounded in float32
    A = torch.exp((math.log(10) / 40) * gain)
    return torch.rsqrt((A + 1 / A) * (1 / steepness - 1) + 2)


def _check_band(function: str, sample_rate: float, **values: Tensor | float) -> None:
    check_sample_rate(function, sample_rate)
    nyquist = sample_rate / 2
    for name, value in values.items():
        expected = f"values strictly between 0 and sample_rate / 2 = {nyquist:g} Hz"
        check_range(function, name, value, 0.0, nyquist, expected)
