"""Lines in pixels for the page's figures: responses over frequency, and the z-plane.

A frequency axis is logarithmic; one that has negative frequencies too, as complex filters want, is linear.

Figures are 360 wide, so that a phone shows them at their own size and their labels stay legible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .numerals import listed

_LEFT, _RIGHT, _TOP, _BOTTOM, _WIDTH, _HEIGHT = 54.0, 352.0, 10.0, 190.0, 360, 236
_CENTER, _RADIUS = 180.0, 150.0
_FARTHEST = 1.6  # what lies beyond is named, not drawn


@dataclass(frozen=True)
class Chart:
    """A response over frequency.

    Attributes:
        curves: Of the filters that are shown, as SVG paths.
        outlines: Of others.
        x_ticks, y_ticks: (place in pixels, label).
        x_label: Of the axis.
    """

    curves: tuple[str, ...]
    outlines: tuple[str, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_label: str
    left: float = _LEFT
    right: float = _RIGHT
    top: float = _TOP
    bottom: float = _BOTTOM
    width: int = _WIDTH
    height: int = _HEIGHT


def chart(
    frequency: NDArray[np.float64],
    curves: Sequence[NDArray[np.float64]],
    outlines: Sequence[NDArray[np.float64]],
    ends: tuple[float, float],
    unit: str,
    y_unit: str,
) -> Chart:
    """A chart whose y axis goes from the first to the second of ``ends``."""
    x, x_ticks = _linear(frequency) if frequency[0] < 0 else _logarithmic(frequency)

    def y(values: NDArray[np.float64]) -> NDArray[np.float64]:
        inside = np.clip(np.nan_to_num(values, nan=ends[0]), ends[0], ends[1])
        return _BOTTOM - (inside - ends[0]) / (ends[1] - ends[0]) * (_BOTTOM - _TOP)

    def path(values: NDArray[np.float64]) -> str:
        return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y(values), strict=True))

    step = next(s for s in (10, 20, 30, 45, 90, 180, 360, 720, 1440, 1 << 20) if (ends[1] - ends[0]) / s <= 6)
    step = 20 if y_unit == "dB" and step > 10 else step
    levels = np.arange(math.ceil(ends[0] / step) * step, ends[1] + 1e-9, step)
    y_ticks = [(float(at), f"{level:g}{'' if y_unit == 'dB' else y_unit}".replace("-", "−")) for at, level in
               zip(y(levels), levels, strict=True)]  # fmt: skip
    named = "frequency in Hz" if unit == "Hz" else "frequency in cycles per sample"
    return Chart(tuple(map(path, curves)), tuple(map(path, outlines)), tuple(x_ticks), tuple(y_ticks), named)


Ticks = list[tuple[float, str]]


def _logarithmic(frequency: NDArray[np.float64]) -> tuple[NDArray[np.float64], Ticks]:
    """Where every frequency is, and a tick at every power of ten."""
    low, high = math.log10(frequency[0]), math.log10(frequency[-1])
    decades = [10.0**k for k in range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)]

    def place(f: NDArray[np.float64]) -> NDArray[np.float64]:
        return _LEFT + (np.log10(f) - low) / (high - low) * (_RIGHT - _LEFT)

    return place(frequency), [(float(place(np.array(f))), _short(f)) for f in decades]


def _linear(frequency: NDArray[np.float64]) -> tuple[NDArray[np.float64], Ticks]:
    """The same from minus to plus half of the sample rate, with ticks at round numbers."""
    half = float(frequency[-1])
    size = 10.0 ** math.floor(math.log10(half))
    step = next(s * size for s in (0.25, 0.5, 1.0, 2.5, 5.0) if half / (s * size) <= 2.5)
    most = math.floor(0.95 * half / step)  # the label of a tick at the very end would be cut off
    levels = step * np.arange(-most, most + 1)

    def place(f: NDArray[np.float64]) -> NDArray[np.float64]:
        return (_LEFT + _RIGHT) / 2 + f / half * (_RIGHT - _LEFT) / 2

    return place(frequency), [(float(place(np.array(f))), _short(float(f))) for f in levels]


@dataclass(frozen=True)
class Plane:
    """The z-plane.

    Attributes:
        filters: For every filter its poles and its zeros, each (x, y, how many at this place).
        far: For every filter what lies too far out to be drawn.
        unit: The radius of the unit circle in pixels.
        center: Of the plane in pixels.
    """

    filters: tuple[tuple[tuple[tuple[float, float, int], ...], tuple[tuple[float, float, int], ...]], ...]
    far: tuple[str, ...]
    unit: float
    center: float = _CENTER


def plane(filters: Sequence[tuple[NDArray[np.complex128], NDArray[np.complex128]]]) -> Plane:
    """Poles and zeros of every filter."""
    near = [abs(z) for roots in filters for group in roots for z in group if abs(z) <= _FARTHEST]
    unit = _RADIUS / max(1.12, *near, 0.0)
    placed, far = [], []
    for poles, zeros in filters:
        placed.append((_merged(poles, unit), _merged(zeros, unit)))
        out = [
            f"{what} at {z.replace('±', ' ± ').replace('-', '−')}"
            for what, group in (("pole", poles), ("zero", zeros))
            for z in listed(group[np.abs(group) > _FARTHEST], digits=4, most=len(group))
        ]
        more = f" and {len(out) - 4} more" if len(out) > 4 else ""
        far.append(f"outside of the picture: {', '.join(out[:4])}{more}" if out else "")
    return Plane(tuple(placed), tuple(far), unit)


def _merged(roots: NDArray[np.complex128], unit: float) -> tuple[tuple[float, float, int], ...]:
    """Places in pixels; roots less than three pixels apart, as rounding splits multiple ones, are one mark."""
    marks: list[list[float]] = []
    for z in roots[np.abs(roots) <= _FARTHEST]:
        x, y = _CENTER + unit * z.real, _CENTER - unit * z.imag
        mark = next((m for m in marks if math.hypot(m[0] - x, m[1] - y) < 3), None)
        if mark is None:
            marks.append([x, y, 1])
        else:
            mark[2] += 1
    return tuple((round(x, 1), round(y, 1), int(count)) for x, y, count in marks)


def _short(f: float) -> str:
    return (f"{f / 1000:g}k" if abs(f) >= 1000 else f"{f:g}").replace("-", "−")
