"""A neuron that fires when it is driven (FitzHugh, 1961; Nagumo et al., 1962), by Euler's method.

v[t] = v[t-1] + dt (v[t-1] - v[t-1]^3 / 3 - w[t-1] + x[t])
w[t] = w[t-1] + dt (v[t-1] + a - b w[t-1]) / tau
"""

from __future__ import annotations

import torch
from torch import Tensor

from .example import Example, parameter, signal


def fitzhugh_nagumo(a: Tensor, b: Tensor, tau: Tensor, dt: float = 0.1):
    """Everything (); v, w and x (batch,)."""

    def cell(state, x):
        v, w = state
        return (v + dt * (v - v**3 / 3 - w + x), w + dt * (v + a - b * w) / tau), v

    return cell


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    values = [parameter(value, dtype) for value in (0.7, 0.8, 12.5)]
    init = signal(batch, dtype=dtype), signal(batch, dtype=dtype)
    return Example(fitzhugh_nagumo(*values), init, signal(steps, batch, dtype=dtype), values)
