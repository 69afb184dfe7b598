"""A diagonal and a matrix of low rank: W = diag(d) + U V^T."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...engine import ir
from .base import Matrix, Reshape, Structure, check_count, orthogonal, override

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_ITERATIONS = 2000


@dataclass(frozen=True)
class LowRankPlusDiagonal(Structure):
    """W = diag(d) + U V^T: weight (gates * (1 + 2 rank), n), whose rows are d, U^T and V^T.

    Attributes:
        rank: Columns of U and of V.
    """

    rank: int

    def __post_init__(self) -> None:
        check_count("LowRankPlusDiagonal", "rank", self.rank, 1)

    @override
    def check(self, n: int) -> None:
        if n < self.rank:
            raise ValueError(f"LowRankPlusDiagonal: a matrix of {n} rows has no rank {self.rank}")

    @override
    def _shape(self, n: int) -> tuple[int, ...]:
        return 1 + 2 * self.rank, n

    def factors(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """d (n,), U^T (rank, n) and V^T (rank, n)."""
        d, u, v = weight.split((1, self.rank, self.rank))
        return d.squeeze(0), u, v

    @override
    def _stored(self, n: int) -> list[ir.Matrix]:
        low = ir.Matrix(0, "dense", self.rank, n)
        return [ir.Matrix(0, "banded", n, n), low, low]

    @override
    def _applied(self, g: ir.Graph, stored: Sequence[ir.Matrix], x: ir.Value) -> ir.Value:
        d, u, v = stored
        return g.emit("add", g.apply(d, x), g.apply(u.transpose(), g.apply(v, x)))

    @override
    def _arrays(self, weight: Any, n: int, reshape: Reshape) -> list[Any]:
        return [weight[:1], weight[1 : 1 + self.rank], weight[1 + self.rank :]]

    @override
    def matvec(self, weight: Tensor, x: Tensor) -> Tensor:
        from torch.nn.functional import linear

        d, u, v = self.factors(weight)
        return d * x + linear(linear(x, v), u.mT)

    @override
    def to_dense(self, weight: Tensor) -> Tensor:
        import torch

        d, u, v = self.factors(weight)
        return torch.diag(d) + u.mT @ v

    @override
    def _from_dense(self, dense: Tensor) -> Tensor:
        """The rank of what the diagonal leaves, the diagonal of what the rank leaves, in turn: principal factors."""
        import torch

        wide = dense.double()
        d = torch.zeros_like(wide.diagonal())
        for _ in range(_ITERATIONS):
            left, s, right = torch.linalg.svd(wide - torch.diag(d))
            low = (left[:, : self.rank] * s[: self.rank]) @ right[: self.rank]
            before, d = d, (wide - low).diagonal()
            if (d - before).norm() <= torch.finfo(torch.float64).eps * wide.norm():
                break
        root = s[: self.rank].sqrt()
        u, v = (left[:, : self.rank] * root).mT, root.unsqueeze(1) * right[: self.rank]
        return torch.cat([d.unsqueeze(0), u, v]).to(dense)

    @override
    def transpose(self, weight: Tensor) -> Matrix:
        import torch

        d, u, v = self.factors(weight)
        return self(torch.cat([d.unsqueeze(0), v, u]))

    @override
    def terms(self, n: int) -> int:
        return 1 + self.rank

    @override
    def uniform_(self, weight: Tensor, generator: torch.Generator | None = None) -> None:
        """A radius of about a half from d, and as much from U V^T."""
        from torch import nn

        d, u, v = self.factors(weight)
        nn.init.uniform_(d, -0.5, 0.5, generator)
        nn.init.uniform_(u, -1, 1, generator)
        nn.init.uniform_(v, -1, 1, generator)
        v.mul_(weight.shape[-1] ** -0.5)
        u.mul_((weight.shape[-1] * self.rank) ** -0.5)

    @override
    def scale_(self, weight: Tensor, factor: float) -> None:
        d, u, _ = self.factors(weight)
        d.mul_(factor)
        u.mul_(factor)

    @override
    def orthogonal_(self, weight: Tensor, generator: torch.Generator | None = None) -> None:
        """1 - 2 Q Q^T with orthonormal columns Q: a reflection."""
        d, u, v = self.factors(weight)
        q = orthogonal(weight.shape[-1], weight, generator, self.rank)
        d.fill_(1)
        u.copy_(-2 * q)
        v.copy_(q)

    @override
    def _rounding(self, dense: Tensor) -> float:
        import torch

        return 1e3 * torch.finfo(dense.dtype).eps * dense.abs().max().item()
