"""The ballistics of a compressor: gain goes down at the speed of attack and comes back at that of release.

    target[t] = min(0, (threshold - x[t]) (1 - 1 / ratio))             in dB
    c[t] = attack if target[t] < g[t-1] else release
    g[t] = c[t] g[t-1] + (1 - c[t]) target[t]

The target depends on x alone and is computed outside the loop.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .example import Example, parameter, signal


def compressor(threshold: Tensor, ratio: Tensor, attack: Tensor, release: Tensor):
    """Everything (); g and x, a level in dB, (batch,)."""

    def cell(g, x):
        target = torch.clamp((threshold - x) * (1 - 1 / ratio), max=0)
        c = torch.where(target < g, attack, release)
        g = c * g + (1 - c) * target
        return g, g

    return cell


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    values = [parameter(value, dtype) for value in (-20.0, 4.0, 0.9, 0.995)]
    init = signal(batch, dtype=dtype)
    return Example(compressor(*values), init, signal(steps, batch, dtype=dtype, scale=12.0) - 20, values)
