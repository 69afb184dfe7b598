"""Matrices of blocks on the diagonal: W = diag(weight[0], ..., weight[blocks - 1])."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...engine import ir
from .base import Matrix, Structure, check_count, override

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class BlockDiagonal(Structure):
    """Blocks on the diagonal: weight (gates * blocks, n / blocks, n / blocks).

    Attributes:
        blocks: How many; n is a multiple of it.
    """

    blocks: int

    def __post_init__(self) -> None:
        check_count("BlockDiagonal", "blocks", self.blocks, 1)

    @override
    def check(self, n: int) -> None:
        if n % self.blocks:
            raise ValueError(f"BlockDiagonal: a matrix of {n} rows does not divide into {self.blocks} blocks")

    @override
    def _shape(self, n: int) -> tuple[int, ...]:
        return self.blocks, n // self.blocks, n // self.blocks

    @override
    def size(self, weight: Tensor) -> int:
        return weight.shape[0] * weight.shape[-1] if weight.ndim else 0

    @override
    def _stored(self, n: int) -> list[ir.Matrix]:
        return [ir.Matrix(0, "block", n, n, groups=self.blocks)]

    @override
    def matvec(self, weight: Tensor, x: Tensor) -> Tensor:
        import torch

        return torch.einsum("kij,...kj->...ki", weight, x.unflatten(-1, (self.blocks, -1))).flatten(-2)

    @override
    def to_dense(self, weight: Tensor) -> Tensor:
        import torch

        return torch.block_diag(*weight)

    @override
    def _from_dense(self, dense: Tensor) -> Tensor:
        import torch

        size = max(dense.shape[0] // self.blocks, 1)
        blocks = [dense[k : k + size, k : k + size] for k in range(0, dense.shape[0], size)]
        return torch.stack(blocks) if blocks else dense.new_zeros(self.blocks, 0, 0)

    @override
    def transpose(self, weight: Tensor) -> Matrix:
        return self(weight.mT)

    @override
    def terms(self, n: int) -> int:
        return n // self.blocks

    @override
    def spectral_radius(self, weight: Tensor) -> Tensor:
        import torch

        return torch.linalg.eigvals(weight.detach()).abs().max()

    @override
    def orthogonal_(self, weight: Tensor, generator: torch.Generator | None = None) -> None:
        from torch import nn

        for block in weight:
            nn.init.orthogonal_(block, generator=generator)
