"""What the weights of a bank of filters mean.

With u and v the raw weights of a filter, m() a frequency scale and s() the logistic sigmoid,

    frequency = m^-1(m(low) + (m(high) - m(low)) s(u)),    bandwidth = narrow (wide / narrow)^s(v)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .arguments import check_count
from .cookbook import GAIN_KINDS, KINDS, prototype, q_from_bandwidth
from .spacing import SCALES, ends, grid

_EDGE = 1e-3  # how close a center may come to 0 and to Nyquist, in units of Nyquist
_NARROW, _WIDE = 1e-4, 0.9  # bandwidths, in units of Nyquist


@dataclass(frozen=True)
class Bank:
    """The settings of a bank, checked by :meth:`of`, and its formulas."""

    filters: int
    sample_rate: float
    kind: str
    low: float
    high: float
    scale: str
    start: float  # of the centers, on the scale
    end: float

    @classmethod
    def of(
        cls, xp: Any, filters: int, sample_rate: float, kind: str, low: float, high: float | None, scale: str
    ) -> Bank:
        """The bank of these settings, those of ``feedbackward.nn.FilterBank``.

        Raises:
            ValueError: An unknown kind or scale, or a range that does not fit into 0 .. sample_rate / 2.
            TypeError: The number of filters is not an integer.
        """
        check_count("FilterBank", "filters", filters, 1)
        if kind not in KINDS:
            raise ValueError(f"FilterBank: kind is {kind!r}, expected one of {', '.join(KINDS)}")
        if scale not in SCALES:
            raise ValueError(f"FilterBank: scale is {scale!r}, expected one of {', '.join(SCALES)}")
        if not 0 < sample_rate < math.inf:
            raise ValueError(f"FilterBank: sample_rate is {sample_rate}, expected a positive number in Hz")
        nyquist = sample_rate / 2
        high = nyquist if high is None else high
        if not 0 <= low < high <= nyquist:
            raise ValueError(
                f"FilterBank: low and high are {low:g} and {high:g} Hz, "
                f"expected 0 <= low < high <= sample_rate / 2 = {nyquist:g} Hz"
            )
        return cls(filters, sample_rate, kind, low, high, scale, *ends(xp, *_centers(low, high, nyquist), scale))

    @property
    def has_gain(self) -> bool:
        """Whether every filter has a gain."""
        return self.kind in GAIN_KINDS

    @property
    def centers(self) -> tuple[float, float]:
        """What the centers stay between, in Hz."""
        return _centers(self.low, self.high, self.sample_rate / 2)

    @property
    def widths(self) -> tuple[float, float]:
        """What the bandwidths stay between, in Hz."""
        return _NARROW * self.sample_rate / 2, _WIDE * self.sample_rate / 2

    def tiles(self, xp: Any) -> tuple[Any, Any]:
        """Centers and bandwidths in Hz of bands that tile the range, (filters,) each, in float64."""
        hz = grid(xp, *self.centers, self.filters, self.scale)
        return hz[1::2], self.clipped(xp, hz[2::2] - hz[:-2:2])

    def clipped(self, xp: Any, bandwidth: Any) -> Any:
        """Bandwidths, a factor of 2 inside of what they stay between, where their weights can move."""
        nyquist = self.sample_rate / 2
        return xp.clip(bandwidth, 2 * _NARROW * nyquist, _WIDE / 2 * nyquist)

    def frequency(self, xp: Any, raw: Any) -> Any:
        """Centers in Hz of their weights."""
        return SCALES[self.scale][1](xp, self.start + (self.end - self.start) * xp.sigmoid(raw))

    def bandwidth(self, xp: Any, raw: Any) -> Any:
        """Bandwidths in Hz of their weights."""
        return (_NARROW * self.sample_rate / 2) * xp.exp(math.log(_WIDE / _NARROW) * xp.sigmoid(raw))

    def raw_frequency(self, xp: Any, frequency: Any) -> Any:
        """The weights of centers in Hz."""
        return xp.logit((SCALES[self.scale][0](xp, frequency) - self.start) / (self.end - self.start))

    def raw_bandwidth(self, xp: Any, bandwidth: Any) -> Any:
        """The weights of bandwidths in Hz."""
        narrow, wide = self.widths
        return xp.logit(xp.log(bandwidth / narrow) / math.log(wide / narrow))

    def rows(self, xp: Any, raw_frequency: Any, raw_bandwidth: Any, gain_db: Any = None) -> Any:
        """Rows [b0, b1, b2, 1, a1, a2] of the weights, (filters, 6)."""
        frequency = self.frequency(xp, raw_frequency)
        q = q_from_bandwidth(xp, frequency, self.bandwidth(xp, raw_bandwidth), self.sample_rate)
        gain_db = xp.zeros_like(frequency) if gain_db is None else gain_db
        return KINDS[self.kind](xp, prototype(xp, frequency, q, gain_db, self.sample_rate))


def _centers(low: float, high: float, nyquist: float) -> tuple[float, float]:
    return max(low, _EDGE * nyquist), min(high, nyquist - _EDGE * nyquist)
