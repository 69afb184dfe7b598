"""A state space of damped rotations in the plane, one for every mode.

p[t] = r (cos(w) p[t-1] - sin(w) q[t-1]) + b x[t]
q[t] = r (sin(w) p[t-1] + cos(w) q[t-1])
y[t] = sum over modes of c p[t] + d q[t]
"""

from __future__ import annotations

import torch
from torch import Tensor

from .example import Example, parameter, signal


def rotation(r: Tensor, w: Tensor, b: Tensor, c: Tensor):
    """R, w, b (modes,), c (modes, 2); the state (batch, modes, 2), x (batch,)."""

    def cell(state, x):
        turn = torch.stack([torch.cos(w), -torch.sin(w), torch.sin(w), torch.cos(w)], -1).reshape(-1, 2, 2)
        drive = torch.stack([b, torch.zeros_like(b)], -1)
        state = r[:, None] * torch.einsum("mij,nmj->nmi", turn, state) + drive * x[:, None, None]
        return state, (c * state).sum((-2, -1))

    return cell


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    r, w = parameter(torch.linspace(0.8, 0.97, 8), dtype), parameter(torch.linspace(0.1, 2.5, 8), dtype)
    b, c = parameter(torch.randn(8), dtype), parameter(torch.randn(8, 2), dtype)
    init = signal(batch, 8, 2, dtype=dtype)
    return Example(rotation(r, w, b, c), init, signal(steps, batch, dtype=dtype), [r, w, b, c])
