"""A cascade of second-order sections with nothing fixed but their stability.

Five raw numbers per section: the numerator itself, and two for a denominator anywhere inside the stability triangle,

    b = raw_0 .. raw_2,    (a1, a2) = triangle(raw_3, raw_4)

of ``feedbackward.design``. It can be what an equalizer cannot: a low or high pass, a notch, an allpass, a resonance
beyond 30 dB. It is reached from an equalizer that is already close.
"""

from __future__ import annotations

import cmath
import math

import torch
from torch import Tensor

from feedbackward.design import triangle, triangle_inverse

from .cascade import Section, log_response

_PER_SECTION = 5
_NOTHING = 1e-15  # -300 dB, the gain of a section at its own zero


class Biquads:
    """The map from raw numbers (..., 5 * sections) to sections.

    Args:
        sample_rate: in Hz.
    """

    def __init__(self, sample_rate: float) -> None:
        self.sample_rate = sample_rate

    def raw(self, sos: Tensor) -> Tensor:
        """Raw numbers (..., 5 * sections) of stable sections (..., sections, 6) with a0 = 1."""
        return torch.cat([sos[..., :3], triangle_inverse(sos[..., 4:])], dim=-1).flatten(-2)

    def sos(self, raw: Tensor) -> Tensor:
        """Sections (..., sections, 6)."""
        sections = raw.unflatten(-1, (-1, _PER_SECTION))
        a = triangle(sections[..., 3:])
        return torch.cat([sections[..., :3], torch.ones_like(a[..., :1]), a], dim=-1)

    def response(self, raw: Tensor, phasors: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithm of the response and its derivative by raw; see :func:`.cascade.log_response`."""
        return log_response(self.sos, raw, _PER_SECTION, phasors)

    def describe(self, raw: Tensor) -> list[Section]:
        """Sections by their poles: z = exp(s / sample_rate) gives a pair s1, s2 of a frequency and a q.

            |s|^2 = |s1 s2|,    frequency = |s| / 2 pi,    q = |s| / -(s1 + s2)

        The gain is that of the section at this frequency.
        """
        return [self._describe(row) for row in self.sos(raw.detach()).tolist()]

    def level_db(self, raw: Tensor) -> float:
        """The level is in the sections."""
        return 0.0

    def _describe(self, row: list[float]) -> Section:
        half = -row[4] / 2
        root = cmath.sqrt(half * half - row[5])
        poles = [pole if abs(pole) > _NOTHING else complex(_NOTHING) for pole in (half + root, half - root)]
        s1, s2 = (cmath.log(pole) for pole in poles)  # in units of the sample rate
        angle = min(math.sqrt(abs(s1 * s2)), math.pi)
        q = math.sqrt(abs(s1 * s2)) / max(-(s1 + s2).real, _NOTHING)
        b, a = (sum(c * cmath.exp(-1j * k * angle) for k, c in enumerate(part)) for part in (row[:3], row[3:]))
        gain_db = 20 * math.log10(max(abs(b / a), _NOTHING))
        return Section("biquad", angle / (2 * math.pi) * self.sample_rate, q, gain_db)
