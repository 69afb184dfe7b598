"""The audio EQ cookbook: eight second-order filters as differentiable functions of frequency, q and gain.

    H(z) = (b0 + b1 z^-1 + b2 z^-2) / (1 + a1 z^-1 + a2 z^-2)

is the bilinear transform of an analog prototype, warped so that the digital filter has its feature exactly at
`frequency`. With

    w0 = 2 pi frequency / sample_rate,    alpha = sin(w0) / (2 q),    A = 10^(gain_db / 40)

every function returns one row ``[b0, b1, b2, 1, a1, a2]`` per filter, of shape (..., 6), where (...) is the broadcast
shape of the arguments: the layout of ``sosfilt`` here and in scipy. A bank of n filters with one section each is
``row[:, None, :]``; a cascade is ``torch.stack([row, row], dim=-2)``; frequencies that move in time, one per frame, are
``row[:, None, :]`` with ``hop``; for ``lfilter``, ``b, a = row[..., :3], row[..., 3:]``.

Frequencies are in Hz, strictly between 0 and sample_rate / 2; q is positive. Numbers are always checked, tensors where
reading them is free (CPU, eager): under ``torch.compile``, ``torch.vmap`` and on other devices they are trusted.
Python numbers follow the dtype of the tensors beside them; numbers alone give the default dtype. Gradients flow to
every tensor argument.

Far below the sample rate (w0 under about 1e-3) the coefficients crowd so closely around (-2, 1) that float32 cannot
tell frequencies apart: design in float64, and filter with ``compute_dtype=torch.float64``.

Source: R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients"
(https://www.w3.org/TR/audio-eq-cookbook/).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from ..formulas import cookbook as formulas
from ._operands import check_range, check_sample_rate, promote

BUTTERWORTH = formulas.BUTTERWORTH
"""The q of a maximally flat lowpass or highpass section."""


def lowpass(frequency: Tensor | float, q: Tensor | float = BUTTERWORTH, *, sample_rate: float) -> Tensor:
    """Lowpass, H(s) = 1 / (s^2 + s/q + 1): 0 dB at DC, a gain of q at `frequency`, -12 dB per octave above.

    Args:
        frequency: corner frequency in Hz, any shape.
        q: resonance; 0.7071 is maximally flat. Broadcasts with `frequency`.
        sample_rate: in Hz.

    Returns:
        Rows (..., 6) with a0 = 1.

    Raises:
        ValueError: a frequency outside of (0, sample_rate / 2) or a q that is not positive.

    Example:
        >>> row = lowpass(1000.0, sample_rate=48000)
        >>> row.shape
        torch.Size([6])
        >>> dc_gain = row[:3].sum() / row[3:].sum()
        >>> round(dc_gain.item(), 4)
        1.0
    """
    return formulas.lowpass(torch, _prototype("lowpass", frequency, q, 0.0, sample_rate))


def highpass(frequency: Tensor | float, q: Tensor | float = BUTTERWORTH, *, sample_rate: float) -> Tensor:
    """Highpass, H(s) = s^2 / (s^2 + s/q + 1): 0 dB at Nyquist, a gain of q at `frequency`, +12 dB per octave below.

    Arguments, result and errors are those of :func:`lowpass`.

    Example:
        >>> row = highpass(torch.tensor([100.0, 200.0]), sample_rate=48000)
        >>> row.shape
        torch.Size([2, 6])
    """
    return formulas.highpass(torch, _prototype("highpass", frequency, q, 0.0, sample_rate))


def bandpass(
    frequency: Tensor | float,
    q: Tensor | float = BUTTERWORTH,
    *,
    sample_rate: float,
    constant: Literal["peak", "skirt"] = "peak",
) -> Tensor:
    """Bandpass with its peak at `frequency`.

    ``constant="peak"``: H(s) = (s/q) / (s^2 + s/q + 1), 0 dB at the peak whatever q.
    ``constant="skirt"``: H(s) = s / (s^2 + s/q + 1), skirts that do not depend on q, a gain of q at the peak.

    The -3 dB bandwidth in Hz, and the q that gives a wanted one, are in ``bandwidth_from_q`` and ``q_from_bandwidth``.

    Args:
        frequency: center frequency in Hz, any shape.
        q: center frequency over bandwidth, of the analog prototype. Broadcasts with `frequency`.
        sample_rate: in Hz.
        constant: what stays constant when q changes.

    Returns:
        Rows (..., 6) with a0 = 1.

    Raises:
        ValueError: a frequency outside of (0, sample_rate / 2), a q that is not positive, or another `constant`.

    Example:
        >>> bandpass(torch.tensor([500.0, 1000.0]), torch.tensor([[2.0], [4.0], [8.0]]), sample_rate=16000).shape
        torch.Size([3, 2, 6])
    """
    if constant not in ("peak", "skirt"):
        raise ValueError(f"bandpass: constant is {constant!r}, expected 'peak' or 'skirt'")
    return formulas.bandpass(torch, _prototype("bandpass", frequency, q, 0.0, sample_rate), constant)


def notch(frequency: Tensor | float, q: Tensor | float = BUTTERWORTH, *, sample_rate: float) -> Tensor:
    """Notch, H(s) = (s^2 + 1) / (s^2 + s/q + 1): silence at `frequency`, 0 dB at DC and Nyquist.

    Arguments, result and errors are those of :func:`lowpass`; q is the center frequency over the -3 dB bandwidth.

    Example:
        >>> notch(50.0, 30.0, sample_rate=1000)[4].item() < 0
        True
    """
    return formulas.notch(torch, _prototype("notch", frequency, q, 0.0, sample_rate))


def allpass(frequency: Tensor | float, q: Tensor | float = BUTTERWORTH, *, sample_rate: float) -> Tensor:
    """Allpass, H(s) = (s^2 - s/q + 1) / (s^2 + s/q + 1): 0 dB everywhere, a phase of -180 degrees at `frequency`.

    Arguments, result and errors are those of :func:`lowpass`; a higher q turns the phase faster.

    Example:
        >>> row = allpass(1000.0, sample_rate=8000)
        >>> torch.allclose(row[:3], row[3:].flip(0))
        True
    """
    return formulas.allpass(torch, _prototype("allpass", frequency, q, 0.0, sample_rate))


def peaking(frequency: Tensor | float, q: Tensor | float, gain_db: Tensor | float, *, sample_rate: float) -> Tensor:
    """Peaking equalizer, H(s) = (s^2 + s A/q + 1) / (s^2 + s/(A q) + 1): `gain_db` at `frequency`, 0 dB far from it.

    Args:
        frequency: center frequency in Hz, any shape.
        q: center frequency over the bandwidth between the points of half the gain in dB. Broadcasts.
        gain_db: gain at the center in dB, negative for a cut; 0 is the identity (b equals a). Broadcasts.
        sample_rate: in Hz.

    Returns:
        Rows (..., 6) with a0 = 1.

    Raises:
        ValueError: a frequency outside of (0, sample_rate / 2) or a q that is not positive.

    Example:
        >>> row = peaking(1000.0, 2.0, 0.0, sample_rate=8000)
        >>> torch.equal(row[:3], row[3:])
        True
    """
    return formulas.peaking(torch, _prototype("peaking", frequency, q, gain_db, sample_rate))


def lowshelf(frequency: Tensor | float, q: Tensor | float, gain_db: Tensor | float, *, sample_rate: float) -> Tensor:
    """Low shelf, H(s) = A (s^2 + s sqrt(A)/q + A) / (A s^2 + s sqrt(A)/q + 1): `gain_db` at DC, 0 dB at Nyquist.

    Half of the gain in dB is reached at `frequency`. A q of 0.7071 is the steepest shelf without overshoot; the q of
    a shelf slope is ``q_from_slope``. Arguments, result and errors are those of :func:`peaking`.

    Example:
        >>> row = lowshelf(200.0, 0.7071, 6.0, sample_rate=48000)
        >>> dc_gain = row[:3].double().sum() / row[3:].double().sum()
        >>> round(20 * dc_gain.log10().item(), 1)
        6.0
    """
    return formulas.lowshelf(torch, _prototype("lowshelf", frequency, q, gain_db, sample_rate))


def highshelf(frequency: Tensor | float, q: Tensor | float, gain_db: Tensor | float, *, sample_rate: float) -> Tensor:
    """High shelf, H(s) = A (A s^2 + s sqrt(A)/q + 1) / (s^2 + s sqrt(A)/q + A): 0 dB at DC, `gain_db` at Nyquist.

    Half of the gain in dB is reached at `frequency`. Arguments, result and errors are those of :func:`peaking`.

    Example:
        >>> highshelf(4000.0, 0.7071, torch.tensor([-6.0, 6.0]), sample_rate=48000).shape
        torch.Size([2, 6])
    """
    return formulas.highshelf(torch, _prototype("highshelf", frequency, q, gain_db, sample_rate))


KINDS = {f.__name__: f for f in (lowpass, highpass, bandpass, notch, allpass, peaking, lowshelf, highshelf)}
"""Every function of the cookbook by name."""

GAIN_KINDS = formulas.GAIN_KINDS
"""The kinds that take a gain_db."""


def _prototype(
    kind: str, frequency: Tensor | float, q: Tensor | float, gain_db: Tensor | float, sample_rate: float
) -> formulas.Prototype:
    check_sample_rate(kind, sample_rate)
    nyquist = sample_rate / 2
    tensors = promote(kind, frequency=frequency, q=q, gain_db=gain_db)
    check_range(
        kind, "frequency", frequency, 0.0, nyquist, f"values strictly between 0 and sample_rate / 2 = {nyquist:g} Hz"
    )
    check_range(kind, "q", q, 0.0, math.inf, "positive finite values")
    check_range(kind, "gain_db", gain_db, -math.inf, math.inf, "finite values in dB")
    f, quality, gain = torch.broadcast_tensors(*tensors)
    return formulas.prototype(torch, f, quality, gain, sample_rate)
