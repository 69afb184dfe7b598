"""Frequency scales, and bands of equal width on them; sources are in :mod:`feedbackward.design.spacing`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

_KNEE_HZ, _KNEE_MEL, _MELS_PER_HZ = 1000.0, 15.0, 3 / 200
_MELS_PER_E = 27 / math.log(6.4)  # mels per factor of e above the knee
_ERBS_PER_E = 21.4 / math.log(10)


def _hz_to_mel(xp: Any, f: Any) -> Any:
    above = _KNEE_MEL + _MELS_PER_E * xp.log(xp.clip(f, _KNEE_HZ, math.inf) / _KNEE_HZ)
    return xp.where(f < _KNEE_HZ, f * _MELS_PER_HZ, above)


def _mel_to_hz(xp: Any, value: Any) -> Any:
    above = _KNEE_HZ * xp.exp((xp.clip(value, _KNEE_MEL, math.inf) - _KNEE_MEL) / _MELS_PER_E)
    return xp.where(value < _KNEE_MEL, value / _MELS_PER_HZ, above)


SCALES: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "mel": (_hz_to_mel, _mel_to_hz),
    "mel_htk": (
        lambda xp, f: 2595 / math.log(10) * xp.log1p(f / 700),
        lambda xp, value: 700 * xp.expm1(value * (math.log(10) / 2595)),
    ),
    "erb": (
        lambda xp, f: _ERBS_PER_E * xp.log1p(0.00437 * f),
        lambda xp, value: xp.expm1(value / _ERBS_PER_E) / 0.00437,
    ),
    "bark": (
        lambda xp, f: 26.81 * f / (1960 + f) - 0.53,
        lambda xp, value: 1960 * (value + 0.53) / (26.28 - value),
    ),
    "octave": (lambda xp, f: xp.log2(f), lambda xp, value: xp.exp2(value)),
    "linear": (lambda xp, f: f, lambda xp, value: value),
}
"""For every scale, ``(xp, f)`` from Hz and ``(xp, value)`` back."""


def ends(xp: Any, low: float, high: float, scale: str) -> tuple[float, float]:
    """Two frequencies in Hz on a scale, as numbers."""
    start, end = SCALES[scale][0](xp, xp.asarray([low, high], dtype=xp.float64)).tolist()
    return start, end


def grid(xp: Any, low: float, high: float, count: int, scale: str) -> Any:
    """Edges and centers, in turn, of `count` bands that tile low .. high: Hz in float64, (2 count + 1,)."""
    return SCALES[scale][1](xp, xp.linspace(*ends(xp, low, high, scale), 2 * count + 1, dtype=xp.float64))
