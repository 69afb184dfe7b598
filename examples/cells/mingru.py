"""A minimal gated recurrent unit: gate and candidate do not see the state (Feng et al., 2024).

    z[t] = sigmoid(W_z x[t] + b_z)
    h[t] = (1 - z[t]) h[t-1] + z[t] (W_h x[t] + b_h)

Both products run once, over the whole sequence.
"""

from __future__ import annotations

import torch
from torch import nn

from .example import Example, signal


class MinGRU(nn.Module):
    """H (batch, hidden), x (batch, inputs)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.both = nn.Linear(inputs, 2 * hidden)

    def forward(self, h, x):
        gate, candidate = self.both(x).chunk(2, -1)
        h = torch.lerp(h, candidate, torch.sigmoid(gate))
        return h, h


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    module = MinGRU(8, 24).to(dtype)
    init = signal(batch, 24, dtype=dtype)
    return Example(module, init, signal(steps, batch, 8, dtype=dtype), list(module.parameters()))
