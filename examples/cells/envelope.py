"""An envelope follower: the root of a running mean of squares.

s[t] = a s[t-1] + (1 - a) x[t]^2
y[t] = sqrt(s[t] + 1e-6)
"""

from __future__ import annotations

import torch
from torch import Tensor

from .example import Example, parameter, signal


def envelope(a: Tensor):
    """A, s and x (batch,)."""

    def cell(s, x):
        s = a * s + (1 - a) * x.square()
        return s, torch.sqrt(s + 1e-6)

    return cell


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    a = parameter(torch.linspace(0.8, 0.95, batch), dtype)
    init = signal(batch, dtype=dtype).abs()
    return Example(envelope(a), init, signal(steps, batch, dtype=dtype), [a])
