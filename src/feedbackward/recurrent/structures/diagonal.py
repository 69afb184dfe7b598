"""Diagonal matrices: W = diag(weight)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...engine import ir
from .base import Matrix, Reshape, Structure, override

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Diagonal(Structure):
    """Nothing but the diagonal: weight (gates * n,). Every channel remembers for itself."""

    @override
    def _shape(self, n: int) -> tuple[int, ...]:
        return (n,)

    @override
    def _stored(self, n: int) -> list[ir.Matrix]:
        return [ir.Matrix(0, "banded", n, n)]  # a band of one diagonal

    @override
    def _arrays(self, weight: Any, n: int, reshape: Reshape) -> list[Any]:
        return [reshape(weight, (1, n))]

    @override
    def matvec(self, weight: Tensor, x: Tensor) -> Tensor:
        return x * weight

    @override
    def to_dense(self, weight: Tensor) -> Tensor:
        import torch

        return torch.diag(weight)

    @override
    def _from_dense(self, dense: Tensor) -> Tensor:
        return dense.diagonal().clone()

    @override
    def transpose(self, weight: Tensor) -> Matrix:
        return self(weight)

    @override
    def terms(self, n: int) -> int:
        return 1

    @override
    def spectral_radius(self, weight: Tensor) -> Tensor:
        return weight.detach().abs().max()

    @override
    def orthogonal_(self, weight: Tensor, generator: torch.Generator | None = None) -> None:
        import torch

        signs = torch.randint(0, 2, weight.shape, generator=generator, device=weight.device)
        weight.copy_(signs * 2 - 1)
