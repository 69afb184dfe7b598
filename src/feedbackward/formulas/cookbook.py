"""The audio EQ cookbook: rows [b0, b1, b2, 1, a1, a2] of eight second-order filters.

    w0 = 2 pi frequency / sample_rate,    alpha = sin(w0) / (2 q),    A = 10^(gain_db / 40)

What each filter is, and the source, are in :mod:`feedbackward.design.cookbook`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

BUTTERWORTH = math.sqrt(0.5)  # the q of a maximally flat lowpass or highpass section


class Prototype(NamedTuple):
    """What the rows are made of; every entry has the shape (...) of the arguments."""

    w0: Any  # radians per sample
    cos: Any  # of w0
    alpha: Any
    A: Any  # square root of the linear gain


def prototype(xp: Any, frequency: Any, q: Any, gain_db: Any, sample_rate: float) -> Prototype:
    """Frequencies in Hz, qualities and gains in dB, (...), as what the rows are made of."""
    w0 = (2 * math.pi / sample_rate) * frequency
    return Prototype(w0, xp.cos(w0), xp.sin(w0) / (2 * q), xp.exp((math.log(10) / 40) * gain_db))


def lowpass(xp: Any, p: Prototype) -> Any:
    """H(s) = 1 / (s^2 + s/q + 1)."""
    half = xp.square(xp.sin(p.w0 / 2))  # (1 - cos w0) / 2 without its cancellation at low frequencies
    return _row(xp, half, 2 * half, half, 1 + p.alpha, -2 * p.cos, 1 - p.alpha)


def highpass(xp: Any, p: Prototype) -> Any:
    """H(s) = s^2 / (s^2 + s/q + 1)."""
    half = xp.square(xp.cos(p.w0 / 2))
    return _row(xp, half, -2 * half, half, 1 + p.alpha, -2 * p.cos, 1 - p.alpha)


def bandpass(xp: Any, p: Prototype, constant: str = "peak") -> Any:
    """H(s) = (s/q) / (s^2 + s/q + 1), or s / (s^2 + s/q + 1) with a constant "skirt"."""
    b0 = p.alpha if constant == "peak" else xp.sin(p.w0) / 2
    return _row(xp, b0, xp.zeros_like(b0), -b0, 1 + p.alpha, -2 * p.cos, 1 - p.alpha)


def notch(xp: Any, p: Prototype) -> Any:
    """H(s) = (s^2 + 1) / (s^2 + s/q + 1)."""
    one = xp.ones_like(p.cos)
    return _row(xp, one, -2 * p.cos, one, 1 + p.alpha, -2 * p.cos, 1 - p.alpha)


def allpass(xp: Any, p: Prototype) -> Any:
    """H(s) = (s^2 - s/q + 1) / (s^2 + s/q + 1)."""
    return _row(xp, 1 - p.alpha, -2 * p.cos, 1 + p.alpha, 1 + p.alpha, -2 * p.cos, 1 - p.alpha)


def peaking(xp: Any, p: Prototype) -> Any:
    """H(s) = (s^2 + s A/q + 1) / (s^2 + s/(A q) + 1)."""
    boost, cut = p.alpha * p.A, p.alpha / p.A
    return _row(xp, 1 + boost, -2 * p.cos, 1 - boost, 1 + cut, -2 * p.cos, 1 - cut)


def lowshelf(xp: Any, p: Prototype) -> Any:
    """H(s) = A (s^2 + s sqrt(A)/q + A) / (A s^2 + s sqrt(A)/q + 1)."""
    A, plus, minus, root = p.A, p.A + 1, p.A - 1, 2 * xp.sqrt(p.A) * p.alpha
    return _row(
        xp,
        A * (plus - minus * p.cos + root),
        2 * A * (minus - plus * p.cos),
        A * (plus - minus * p.cos - root),
        plus + minus * p.cos + root,
        -2 * (minus + plus * p.cos),
        plus + minus * p.cos - root,
    )


def highshelf(xp: Any, p: Prototype) -> Any:
    """H(s) = A (A s^2 + s sqrt(A)/q + 1) / (s^2 + s sqrt(A)/q + A)."""
    A, plus, minus, root = p.A, p.A + 1, p.A - 1, 2 * xp.sqrt(p.A) * p.alpha
    return _row(
        xp,
        A * (plus + minus * p.cos + root),
        -2 * A * (minus + plus * p.cos),
        A * (plus + minus * p.cos - root),
        plus - minus * p.cos + root,
        2 * (minus - plus * p.cos),
        plus - minus * p.cos - root,
    )


KINDS: dict[str, Callable[[Any, Prototype], Any]] = {
    f.__name__: f for f in (lowpass, highpass, bandpass, notch, allpass, peaking, lowshelf, highshelf)
}

GAIN_KINDS = ("peaking", "lowshelf", "highshelf")


def _row(xp: Any, b0: Any, b1: Any, b2: Any, a0: Any, a1: Any, a2: Any) -> Any:
    return xp.stack([b0 / a0, b1 / a0, b2 / a0, xp.ones_like(a0), a1 / a0, a2 / a0], -1)


def q_from_bandwidth(xp: Any, frequency: Any, bandwidth: Any, sample_rate: float) -> Any:
    """q = sin(w0) / (2 tan(pi bandwidth / sample_rate)); why, is in :mod:`feedbackward.design.quality`."""
    return xp.sin(frequency * (2 * math.pi / sample_rate)) / (2 * xp.tan(bandwidth * (math.pi / sample_rate)))
