"""Any matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...engine import ir
from .base import Matrix, Reshape, Structure, override

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Dense(Structure):
    """Any matrix: weight (gates * n, n), as in torch.nn."""

    @override
    def _shape(self, n: int) -> tuple[int, ...]:
        return n, n

    @override
    def matrices(self, n: int, gates: int = 1, first: int = 0) -> list[ir.Matrix]:
        """One product serves all gates."""
        return [ir.Matrix(first, "dense", gates * n, n)]

    @override
    def applied(self, g: ir.Graph, stored: Sequence[ir.Matrix], x: ir.Value) -> ir.Value:
        return g.apply(stored[0], x)

    @override
    def arrays(self, weight: Any, n: int, gates: int, reshape: Reshape) -> list[Any]:
        return [weight]

    @override
    def matvec(self, weight: Tensor, x: Tensor) -> Tensor:
        from torch.nn.functional import linear

        return linear(x, weight)

    @override
    def products(self, weight: Tensor, x: Tensor, gates: int) -> Tensor:
        return self.matvec(weight, x)

    @override
    def to_dense(self, weight: Tensor) -> Tensor:
        return weight.clone()

    @override
    def _from_dense(self, dense: Tensor) -> Tensor:
        return dense.clone()

    @override
    def transpose(self, weight: Tensor) -> Matrix:
        return self(weight.mT)

    @override
    def terms(self, n: int) -> int:
        return n

    @override
    def orthogonal_(self, weight: Tensor, generator: torch.Generator | None = None) -> None:
        from torch import nn

        nn.init.orthogonal_(weight, generator=generator)
