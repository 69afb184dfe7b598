"""Leaky integrate-and-fire neurons, trained through a surrogate gradient (Neftci et al., 2019).

    u[t] = beta v[t-1] + W x[t]
    s[t] = 1 if u[t] > 1 else 0
    v[t] = 0 if s[t] else u[t]

A spike has no slope. Its derivative is replaced by that of a soft step, sigmoid(4 (u - 1)): the soft step is added and
its own value taken away again as a constant.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .example import Example, parameter, signal


def spiking(weights: Tensor, beta: Tensor):
    """Weights (neurons, inputs), beta (neurons,); v (batch, neurons), x (batch, inputs)."""

    def cell(v, x):
        u = beta * v + x @ weights.T
        soft = torch.sigmoid(4 * (u - 1))
        spike = torch.where(u > 1, 1.0, 0.0) + soft - soft.detach()
        v = torch.where(u > 1, 0.0, u)
        return v, spike

    return cell


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    weights, beta = parameter(torch.randn(24, 8), dtype), parameter(torch.full((24,), 0.9), dtype)
    init = signal(batch, 24, dtype=dtype)
    return Example(spiking(weights, beta), init, signal(steps, batch, 8, dtype=dtype), [weights, beta])
