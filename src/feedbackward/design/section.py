"""A second-order section as poles and a mix: always stable, and as easy to train as an equalizer's knobs.

The coefficients of a section are a poor set of weights. At low frequencies its gain is the small difference
1 + a1 + a2 in the denominator against the small difference b0 + b1 + b2 in the numerator, so a step of the optimizer
in one of them moves the response by orders of magnitude. Here the numerator is a mix of the lowpass, bandpass and
highpass that share the poles, each with a gain of 1 where it passes. With k = tanh(raw), a_1 = k_1 (1 + k_2) and
a_2 = k_2,

    low  = (1 + k_1) (1 + k_2) / 4,  (1 + k_1)(1 + k_2) = 1 + a_1 + a_2
    high = (1 - k_1) (1 + k_2) / 4,  (1 - k_1)(1 + k_2) = 1 - a_1 + a_2
    band = (1 - k_2) / 2

    b(z) = m_low low (1 + z^-1)^2 + m_band band (1 - z^-2) + m_high high (1 - z^-1)^2

m_low is the gain at DC, m_high at Nyquist, m_band at the center. (1, 1, 1) is the identity, (1, g, 1) a peaking filter,
(g, sqrt(g), 1) a low shelf; every numerator has exactly one mix. The raw numbers are logarithms, on which a step means
the same everywhere: for the poles of the cookbook with center w0 and -3 dB bandwidth w,

    raw_1 = ln tan(w0 / 2),    raw_2 = -ln(tan(w / 2)) / 2

A max_radius r below 1 scales the section, z to z / r, b as well as a.

Sources: V. Zavalishin, "The Art of VA Filter Design" (2012), chapter 4 (the state-variable filter and its mixes);
B. Kuznetsov, J. Parker, F. Esqueda, "Differentiable IIR filters for machine learning applications", DAFx 2020.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..formulas import section as formulas
from ..formulas.arguments import check_max_radius
from ._operands import promote
from .stable import invert, scale


def stable_section(raw: Tensor, mix: Tensor, max_radius: float = 1.0) -> Tensor:
    """Sections from unconstrained poles and the gains of their low, band and high pass.

    Args:
        raw: (..., 2), any real values, the poles as in :func:`feedbackward.design.triangle`.
        mix: (..., 3), gains (low, band, high), any real values. Leading shapes broadcast.
        max_radius: bound of the pole radius, in (0, 1].

    Returns:
        Rows [b0, b1, b2, 1, a1, a2], (..., 6), differentiable of any order.

    Raises:
        ValueError: other shapes, or a max_radius outside of (0, 1].

    Example:
        >>> row = stable_section(torch.tensor([-2.0, 1.0]), torch.tensor([1.0, 1.0, 1.0]))
        >>> torch.allclose(row[:3], row[3:])
        True
        >>> row = stable_section(torch.tensor([-2.0, 1.0]), torch.tensor([3.0, 1.0, 1.0]))
        >>> round((row[:3].sum() / row[3:].sum()).item(), 4)
        3.0
    """
    check_max_radius("stable_section", max_radius)
    if raw.shape[-1:] != (2,):
        raise ValueError(f"stable_section: raw has shape {tuple(raw.shape)}, expected (..., 2)")
    if mix.shape[-1:] != (3,):
        raise ValueError(f"stable_section: mix has shape {tuple(mix.shape)}, expected (..., 3)")
    limit = formulas.inside(torch.finfo(raw.dtype).eps)
    terms, (a_1, a_2) = formulas.section(torch, raw, mix, limit, formulas.within(max_radius))
    b, a = torch.stack(terms, dim=-1), torch.stack([torch.ones_like(a_1), a_1, a_2], dim=-1)
    return torch.cat([b, a.expand(*b.shape[:-1], 3)], dim=-1)


def stable_section_inverse(sos: Any, max_radius: float = 1.0) -> tuple[Tensor, Tensor]:
    """The poles and mix of given sections: the inverse of :func:`stable_section`.

    Args:
        sos: rows [b0, b1, b2, a0, a1, a2], (..., 6), a0 different from 0, all poles inside `max_radius`.
        max_radius: bound of the pole radius, in (0, 1].

    Returns:
        raw (..., 2) and mix (..., 3).

    Raises:
        ValueError: another shape, a pole on or outside of `max_radius`, or a max_radius outside of (0, 1].

    Example:
        >>> from feedbackward.design import lowpass
        >>> raw, mix = stable_section_inverse(lowpass(1000.0, sample_rate=16000))
        >>> mix.abs().round(decimals=4)
        tensor([1., 0., 0.])
    """
    (rows,) = promote("stable_section_inverse", sos=sos)
    if rows.shape[-1:] != (6,):
        raise ValueError(f"stable_section_inverse: sos has shape {tuple(rows.shape)}, expected (..., 6)")
    raw, mix = invert_section("stable_section_inverse", rows, max_radius, rows.dtype)
    return raw.to(rows.dtype), mix.to(rows.dtype)


def invert_section(function: str, sos: Tensor, max_radius: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Poles and mix, in float64, that :func:`stable_section` turns back into `sos` when it runs in `dtype`."""
    sos = sos.to(torch.float64)
    raw = invert(function, sos[..., 3:], max_radius, dtype)
    b = scale(sos[..., :3] / sos[..., 3:4], 1 / formulas.within(max_radius)).unbind(-1)
    return raw, formulas.mix(torch, raw, b)
