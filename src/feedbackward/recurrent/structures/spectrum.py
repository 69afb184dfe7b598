"""The spectral radius of a matrix that may be too large for its eigenvalues.

    rho = lim ||W^k v||^(1/k),    k -> infinity, for almost every v          (Gelfand)

From k to 2 k steps the norm grows by rho^k but for what turns and beats; the mean of many steps of several vectors
is close to rho.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .base import Structure

EXACT = 1024  # rows up to which all eigenvalues are computed
_VECTORS, _WARM, _STEPS = 8, 500, 1500


def largest_eigenvalue(structure: Structure, weight: Tensor) -> Tensor:
    """The largest absolute value of an eigenvalue of the matrix (n, n) with this weight."""
    weight = weight.detach()
    n = weight.shape[-1]
    if n <= EXACT:
        return torch.linalg.eigvals(structure.to_dense(weight)).abs().max()
    generator = torch.Generator("cpu").manual_seed(0)
    v = torch.randn(_VECTORS, n, generator=generator, dtype=torch.float64, device="cpu").to(weight.device)
    weight_in_double, growth = weight.double(), v.new_zeros(_VECTORS)
    for step in range(_WARM + _STEPS):
        v = structure.matvec(weight_in_double, v)
        norm = v.norm(dim=-1)
        if not bool((norm > 0).all()):
            return weight.new_zeros(())
        v = v / norm.unsqueeze(-1)
        if step >= _WARM:
            growth += norm.log()
    return (growth.max() / _STEPS).exp().to(weight.dtype)
