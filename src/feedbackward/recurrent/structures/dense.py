"""Any matrix."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from typing_extensions import override

from .base import Matrix, Structure


@dataclass(frozen=True)
class Dense(Structure):
    """Any matrix: weight (gates * n, n), as in torch.nn."""

    @override
    def _shape(self, n: int) -> tuple[int, ...]:
        return n, n

    @override
    def matvec(self, weight: Tensor, x: Tensor) -> Tensor:
        return linear(x, weight)

    @override
    def products(self, weight: Tensor, x: Tensor, gates: int) -> Tensor:
        return linear(x, weight)

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
        nn.init.orthogonal_(weight, generator=generator)
