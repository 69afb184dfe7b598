"""A parametric equalizer as a function of unconstrained numbers, and its response with derivatives.

    H(z) = 10^(level_db / 20) * product over k of H_k(z; frequency_k, q_k, gain_db_k),    k = 0 .. sections - 1

The first section is a low shelf, the last a high shelf, those between are peaking sections, all from the audio EQ
cookbook of ``feedbackward.design``. An optimizer moves ``raw``, a vector of 3 * sections + 1 real numbers of any size:
per section a frequency, a q and a gain, and the level in dB at the end. The logistic function carries the first two
into their valid ranges on a logarithmic axis, tanh the gain:

    frequency = low * (high / low)^sigmoid(raw),    q likewise,    gain_db = 30 tanh(raw / 3)

so that one unit of raw is a musically sensible step everywhere, and no step can leave the range or the unit circle.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from feedbackward import design

from .cascade import Section, log_response

LOWEST_HZ = 20.0
HIGHEST = 0.49  # of the sample rate: above it, a section is a level change that nobody can hear
GAIN_DB = 30.0
_PER_SECTION = 3
_ROW = {"lowshelf": design.lowshelf, "peaking": design.peaking, "highshelf": design.highshelf}
_SLOPE = 3.0  # raw units over which tanh bends: one unit is 10 dB near zero
_EDGE = 0.02  # starting values keep this distance from the ends of a range, where the gradient vanishes


class Settings(NamedTuple):
    """What the knobs of an equalizer show."""

    frequency: Tensor  # (..., sections) Hz
    q: Tensor  # (..., sections)
    gain_db: Tensor  # (..., sections)
    level_db: Tensor  # (...)


class Equalizer:
    """The map from raw numbers to knobs to second-order sections.

    Args:
        sections: number of sections; 1 is a single peaking section, 2 are the two shelves.
        sample_rate: in Hz.
        polarity: 1, or -1 to turn the signal upside down.
    """

    def __init__(self, sections: int, sample_rate: float, polarity: int = 1) -> None:
        self.sections = sections
        self.polarity = polarity
        self.sample_rate = float(sample_rate)
        self.kinds = ["peaking"] if sections == 1 else ["lowshelf", *["peaking"] * (sections - 2), "highshelf"]
        highest = HIGHEST * self.sample_rate
        middle = math.sqrt(LOWEST_HZ * highest)
        ranges = {  # a shelf keeps to its half of the axis, with some overlap, and to a q without a strong resonance
            "lowshelf": ((LOWEST_HZ, 2 * middle), (0.3, 2.0)),
            "peaking": ((LOWEST_HZ, highest), (0.2, 16.0)),
            "highshelf": ((middle, highest), (0.3, 2.0)),
        }
        bounds = torch.tensor([ranges[kind] for kind in self.kinds], dtype=torch.float64)  # (sections, 2, 2)
        self._low, self._high = bounds.unbind(-1)  # (sections, 2)

    def resized(self, sections: int) -> Equalizer:
        """The same equalizer with another number of sections."""
        return Equalizer(sections, self.sample_rate, self.polarity)

    def settings(self, raw: Tensor) -> Settings:
        """Knobs of raw (..., 3 * sections + 1)."""
        return Settings(*self._knobs(raw[..., :-1]), raw[..., -1] * _SLOPE)

    def raw(self, settings: Settings) -> Tensor:
        """The inverse of :meth:`settings`; values at or beyond the end of a range move a little inside."""
        inside = torch.stack([settings.frequency, settings.q], dim=-1)
        part = torch.log(inside / self._low) / torch.log(self._high / self._low)
        gain = (settings.gain_db / GAIN_DB).clamp(-1 + _EDGE, 1 - _EDGE)
        knobs = torch.cat([torch.logit(part.clamp(_EDGE, 1 - _EDGE)), _SLOPE * torch.atanh(gain)[..., None]], dim=-1)
        return torch.cat([knobs.flatten(-2), settings.level_db.unsqueeze(-1) / _SLOPE], dim=-1)

    def sorted(self, raw: Tensor) -> Tensor:
        """raw (3 * sections + 1,) with its peaking sections in order of frequency: the same filter, tidier."""
        frequency = self.settings(raw).frequency
        order = [
            k
            for kind, count in self._runs()
            for k in sorted((k for k in range(self.sections) if self.kinds[k] == kind), key=frequency.__getitem__)
        ]
        return torch.cat([raw[:-1].unflatten(-1, (self.sections, _PER_SECTION))[order].flatten(), raw[-1:]])

    def sos(self, raw: Tensor) -> Tensor:
        """Sections (..., sections, 6) of raw; level and polarity are in the first one's numerator."""
        rows = self._rows(raw[..., :-1])
        scale = torch.ones_like(rows)
        scale[..., 0, :3] = self.polarity * 10 ** (self.settings(raw).level_db.unsqueeze(-1) / 20)
        return rows * scale

    def response(self, raw: Tensor, phasors: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithm of the response, without the polarity, and its derivative by every raw number.

        Args:
            raw: (..., 3 * sections + 1), float64.
            phasors: of :func:`.cascade.phasors`, (3, F).

        Returns:
            log H (..., F) and d log H / d raw (..., 3 * sections + 1, F), complex128.
        """
        per_level = _SLOPE * math.log(10) / 20
        logarithm, slope = log_response(self._rows, raw[..., :-1], _PER_SECTION, phasors)
        by_level = torch.full_like(slope[..., :1, :], per_level)
        return logarithm + per_level * raw[..., -1:], torch.cat([slope, by_level], dim=-2)

    def describe(self, raw: Tensor) -> list[Section]:
        """The knobs of raw (3 * sections + 1,), section by section."""
        knobs = torch.stack(self.settings(raw)[:3], dim=-1).tolist()
        return [Section(kind, *values) for kind, values in zip(self.kinds, knobs, strict=True)]

    def level_db(self, raw: Tensor) -> float:
        """The last knob of raw (3 * sections + 1,)."""
        return self.settings(raw).level_db.item()

    def _knobs(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Frequency, q and gain_db, (..., sections) each, of raw (..., 3 * sections) without the level."""
        knobs = raw.unflatten(-1, (self.sections, _PER_SECTION))
        inside = self._low * (self._high / self._low) ** torch.sigmoid(knobs[..., :2])
        return inside[..., 0], inside[..., 1], GAIN_DB * torch.tanh(knobs[..., 2] / _SLOPE)

    def _rows(self, raw: Tensor) -> Tensor:
        """Sections (..., sections, 6) of raw (..., 3 * sections) without the level."""
        knobs = self._knobs(raw)
        runs = self._runs()
        counts = [count for _, count in runs]
        parts = zip(*(knob.split(counts, dim=-1) for knob in knobs), strict=True)
        rows = [_ROW[kind](*part, sample_rate=self.sample_rate) for (kind, _), part in zip(runs, parts, strict=True)]
        return torch.cat(rows, dim=-2)

    def _runs(self) -> list[tuple[str, int]]:
        """The kinds in order and how many sections are of each."""
        runs = [(kind, self.kinds.count(kind)) for kind in _ROW]
        return [(kind, count) for kind, count in runs if count]
