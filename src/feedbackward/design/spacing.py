"""Where the bands of a filter bank lie: auditory and other frequency scales, and bands of equal width on them.

- mel: 3 f / 200 below 1 kHz, 15 + 27 ln(f / 1000) / ln(6.4) above (Slaney);
- mel_htk: 2595 log10(1 + f / 700) (O'Shaughnessy; HTK);
- erb: 21.4 log10(1 + 0.00437 f), the number of equivalent rectangular bandwidths below f (Glasberg and Moore);
- bark: 26.81 f / (1960 + f) - 0.53, without corrections at the ends (Traunmueller);
- octave: log2(f), octaves above 1 Hz;
- linear: f.

Sources: M. Slaney, "Auditory Toolbox" version 2, Interval Research report 1998-010; D. O'Shaughnessy, "Speech
Communication" (1987); B. Glasberg and B. Moore, "Derivation of auditory filter shapes from notched-noise data", Hearing
Research 47 (1990); H. Traunmueller, "Analytical expressions for the tonotopic sensory scale", JASA 88 (1990).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..formulas import spacing as formulas
from ._operands import check_range, promote

SCALES = tuple(formulas.SCALES)
"""The names of the scales."""


def hz_to_scale(frequency: Tensor | float, scale: str = "mel") -> Tensor:
    """Value on a frequency scale, element by element and differentiable; the formulas are in the module's docstring.

    Args:
        frequency: in Hz, any shape, not negative (positive for ``"octave"``).
        scale: one of ``SCALES``: "mel", "mel_htk", "erb", "bark", "octave", "linear".

    Returns:
        Values of the same shape, in mel, ERB, Bark, octaves above 1 Hz, or Hz.

    Raises:
        ValueError: another scale.

    Example:
        >>> hz_to_scale(torch.tensor([100.0, 1000.0, 6400.0]), "mel")
        tensor([ 1.5000, 15.0000, 42.0000])
    """
    _check_scale("hz_to_scale", scale)
    return formulas.SCALES[scale][0](torch, *promote("hz_to_scale", frequency=frequency))


def scale_to_hz(value: Tensor | float, scale: str = "mel") -> Tensor:
    """Frequency in Hz of a value on a scale: the inverse of :func:`hz_to_scale`.

    Example:
        >>> scale_to_hz(torch.tensor([1.5, 15.0, 42.0]), "mel")
        tensor([ 100., 1000., 6400.])
    """
    _check_scale("scale_to_hz", scale)
    return formulas.SCALES[scale][1](torch, *promote("scale_to_hz", value=value))


def erb_bandwidth(frequency: Tensor | float) -> Tensor:
    """Equivalent rectangular bandwidth of the auditory filter, 24.7 (0.00437 f + 1) Hz (Glasberg and Moore 1990).

    Args:
        frequency: center frequency in Hz, any shape.

    Returns:
        Bandwidth in Hz, same shape.

    Example:
        >>> round(erb_bandwidth(1000.0).item(), 1)
        132.6
    """
    (f,) = promote("erb_bandwidth", frequency=frequency)
    return 24.7 * (0.00437 * f + 1)


def edges(low: float, high: float, count: int, scale: str = "mel") -> Tensor:
    """The count + 1 edges of `count` bands that tile low .. high, all equally wide on the scale.

    Args:
        low: lower edge of the first band in Hz, not negative (positive for ``"octave"``).
        high: upper edge of the last band in Hz, above `low`.
        count: number of bands, at least 1.
        scale: one of ``SCALES``.

    Returns:
        Edges in Hz, (count + 1,), increasing, of the default dtype.

    Raises:
        ValueError: an empty range, a count below 1, another scale.

    Example:
        >>> edges(100.0, 1600.0, 4, "octave")
        tensor([ 100.,  200.,  400.,  800., 1600.])
    """
    return _grid("edges", low, high, count, scale)[::2]


def space(low: float, high: float, count: int, scale: str = "mel") -> Tensor:
    """The centers of `count` bands that tile low .. high: halfway, on the scale, between the edges of each band.

    Arguments and errors are those of :func:`edges`.

    Returns:
        Center frequencies in Hz, (count,), increasing, strictly between low and high.

    Example:
        >>> space(0.0, 8000.0, 4, "linear")
        tensor([1000., 3000., 5000., 7000.])
    """
    return _grid("space", low, high, count, scale)[1::2]


def bandwidths(low: float, high: float, count: int, scale: str = "mel") -> Tensor:
    """The widths in Hz of `count` bands that tile low .. high: with these, neighbors meet near their -3 dB points.

    Arguments and errors are those of :func:`edges`.

    Returns:
        Bandwidths in Hz, (count,).

    Example:
        >>> bandwidths(100.0, 1600.0, 4, "octave")
        tensor([100., 200., 400., 800.])
    """
    return _grid("bandwidths", low, high, count, scale)[::2].diff()


def _grid(function: str, low: float, high: float, count: int, scale: str) -> Tensor:
    """Edges and centers in turn, (2 count + 1,), computed in float64."""
    _check_scale(function, scale)
    if not isinstance(count, int) or count < 1:
        raise ValueError(f"{function}: count is {count!r}, expected an integer of at least 1")
    if scale == "octave":
        check_range(function, "low", float(low), 0.0, math.inf, "a positive frequency in Hz on the octave scale")
    elif not low >= 0:
        raise ValueError(f"{function}: low is {low:g}, expected a frequency in Hz that is not negative")
    check_range(function, "high", float(high), low, math.inf, f"a finite frequency in Hz above low = {low:g}")
    return formulas.grid(torch, low, high, count, scale).to(torch.get_default_dtype())


def _check_scale(function: str, scale: str) -> None:
    if scale not in formulas.SCALES:
        raise ValueError(f"{function}: scale is {scale!r}, expected one of {', '.join(SCALES)}")
