"""What a descent needs to know of a cascade of second-order sections: coefficients and response as functions of raw.

    H(z) = product over k of (b_k0 + b_k1 z^-1 + b_k2 z^-2) / (1 + a_k1 z^-1 + a_k2 z^-2),    k = 0 .. sections - 1

`raw` are the numbers that an optimizer moves, any real numbers, a few per section. Each cascade has its own map from
raw to coefficients; the response and its derivative follow from it,

    d log H / d raw_i = sum over j of db_kj/draw_i z^-j / B_k(z) - da_kj/draw_i z^-j / A_k(z)

where k is the section that raw_i belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Section(NamedTuple):
    """One section in the units of an equalizer's knobs."""

    kind: str
    frequency_hz: float
    q: float
    gain_db: float


class Cascade(Protocol):
    """A family of cascades."""

    sample_rate: float

    def sos(self, raw: Tensor) -> Tensor:
        """Sections (..., sections, 6) of raw (..., n), differentiable."""
        ...

    def response(self, raw: Tensor, phasors: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithm of the response up to its sign, (..., F), and its derivative by raw, (..., n, F), complex128."""
        ...

    def describe(self, raw: Tensor) -> list[Section]:
        """What the sections of raw (n,) do."""
        ...

    def level_db(self, raw: Tensor) -> float:
        """The level of raw (n,) beside its sections."""
        ...


def phasors(frequencies: Tensor, sample_rate: float) -> Tensor:
    """z^0, z^-1, z^-2 on the unit circle, (3, F) complex128, for frequencies (F,) in Hz."""
    angle = frequencies.to(torch.float64) * (-2 * math.pi / sample_rate)
    return torch.stack([torch.polar(torch.ones_like(angle), k * angle) for k in range(3)])


def log_response(
    rows_of: Callable[[Tensor], Tensor], raw: Tensor, per_section: int, phasors: Tensor
) -> tuple[Tensor, Tensor]:
    """Logarithm of the response of a cascade, and its derivative.

    Args:
        rows_of: the map from raw to sections (..., sections, 6) with a0 = 1, differentiable; `per_section`
            consecutive numbers of raw belong to one section.
        raw: (..., sections * per_section), float64.
        per_section: how many raw numbers a section has.
        phasors: of :func:`phasors`, (3, F).

    Returns:
        log H (..., F) and d log H / d raw (..., sections * per_section, F), complex128.
    """
    with torch.enable_grad():
        leaf = raw.detach().requires_grad_()
        rows = rows_of(leaf)
        # A row depends on its own numbers alone: the gradient of a column's sum holds every section's derivative.
        columns = [torch.autograd.grad(rows[..., j].sum(), leaf, retain_graph=True)[0] for j in (0, 1, 2, 4, 5)]
    d_rows = torch.stack(columns, dim=-1).unflatten(-2, (-1, per_section)).to(phasors.dtype)
    rows = rows.detach().to(phasors.dtype)
    numerator, denominator = rows[..., :3] @ phasors, rows[..., 3:] @ phasors  # (..., sections, F)
    d_numerator, d_denominator = d_rows[..., :3] @ phasors, d_rows[..., 3:] @ phasors[1:]  # (..., sections, n, F)
    slope = d_numerator / numerator[..., None, :] - d_denominator / denominator[..., None, :]
    return (torch.log(numerator) - torch.log(denominator)).sum(-2), slope.flatten(-3, -2)
