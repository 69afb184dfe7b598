"""Matrices that are zero outside of a band: W[i, j] = weight[j - i + lower, i],    -lower <= j - i <= upper."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...engine import ir
from .base import Matrix, Structure, check_count, orthogonal, override

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Banded(Structure):
    """Zero outside of a band: weight (gates * (lower + upper + 1), n) by diagonals.

    ``weight[d, i]`` is row i, column i + d - lower; where that is outside of the matrix it is never read.

    Attributes:
        lower: Diagonals below the main one.
        upper: Diagonals above the main one; None: as many as below.

    Example:
        >>> import torch, feedbackward as fb
        >>> fb.Banded(1, 0)(torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])).to_dense()
        tensor([[3., 0., 0.],
                [1., 4., 0.],
                [0., 2., 5.]])
    """

    lower: int
    upper: int | None = None

    def __post_init__(self) -> None:
        if self.upper is None:
            object.__setattr__(self, "upper", self.lower)
        check_count("Banded", "lower", self.lower, 0)
        check_count("Banded", "upper", self.upper, 0)

    @property
    def widths(self) -> tuple[int, int]:
        """(lower, upper)."""
        assert self.upper is not None
        return self.lower, self.upper

    @override
    def _shape(self, n: int) -> tuple[int, ...]:
        return sum(self.widths) + 1, n

    @override
    def _stored(self, n: int) -> list[ir.Matrix]:
        lower, upper = self.widths
        return [ir.Matrix(0, "banded", n, n, lower=lower, upper=upper)]

    @override
    def matvec(self, weight: Tensor, x: Tensor) -> Tensor:
        from ...ops.band import band_matmul

        return band_matmul(x, weight, *self.widths)

    @override
    def to_dense(self, weight: Tensor) -> Tensor:
        import torch

        column, inside = self._columns(weight)
        row = torch.arange(weight.shape[-1], device=weight.device).expand_as(column)
        dense = weight.new_zeros(weight.shape[-1], weight.shape[-1])
        return dense.index_put((row[inside], column[inside]), weight[inside])

    @override
    def _from_dense(self, dense: Tensor) -> Tensor:
        import torch

        weight = dense.new_zeros(self._shape(dense.shape[0]))
        column, inside = self._columns(weight)
        row = torch.arange(weight.shape[-1], device=dense.device).expand_as(column)
        return weight.index_put((inside,), dense[row[inside], column[inside]])

    def _columns(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The column of every entry of a weight, and whether the matrix has it."""
        import torch

        from ...ops.band import outside_band

        lower, upper = self.widths
        diagonals = torch.arange(-lower, upper + 1, device=weight.device).unsqueeze(1)
        column = torch.arange(weight.shape[-1], device=weight.device) + diagonals
        return column, ~outside_band(weight, lower, upper)

    @override
    def transpose(self, weight: Tensor) -> Matrix:
        from ...ops.band import transposed

        lower, upper = self.widths
        return Banded(upper, lower)(transposed(weight, lower, upper))

    @override
    def terms(self, n: int) -> int:
        return min(sum(self.widths) + 1, n)

    @override
    def spectral_radius(self, weight: Tensor) -> Tensor:
        if 0 in self.widths:  # a triangular matrix: its eigenvalues are its diagonal
            return weight[self.lower].detach().abs().max()
        return super().spectral_radius(weight)

    @override
    def uniform_(self, weight: Tensor, generator: torch.Generator | None = None) -> None:
        from ...ops.band import outside_band

        super().uniform_(weight, generator)
        weight.masked_fill_(outside_band(weight, *self.widths), 0)

    @override
    def orthogonal_(self, weight: Tensor, generator: torch.Generator | None = None) -> None:
        """A product of two block-diagonal orthogonal matrices whose blocks overlap: it has a band, and mixes."""
        import torch

        n, width = weight.shape[-1], min(*self.widths)
        size = width // 2 + 1
        sizes = size, max(size, min(width, 1) + 1)  # equal, and half a block apart: they never end at the same row
        factors = []
        for size, shift in zip(sizes, (0, sizes[1] // 2), strict=True):
            starts = [*dict.fromkeys((0, *range(shift, n, size), n))]
            blocks = [orthogonal(b - a, weight, generator) for a, b in itertools.pairwise(starts)]
            factors.append(torch.block_diag(*blocks))
        weight.copy_(self._from_dense(factors[0] @ factors[1]))
