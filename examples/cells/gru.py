"""A gated recurrent unit, as PyTorch has it (Cho et al., 2014).

    r[t] = sigmoid(W_ir x[t] + b_ir + W_hr h[t-1] + b_hr)
    z[t] = sigmoid(W_iz x[t] + b_iz + W_hz h[t-1] + b_hz)
    n[t] = tanh(W_in x[t] + b_in + r[t] (W_hn h[t-1] + b_hn))
    h[t] = (1 - z[t]) n[t] + z[t] h[t-1]

A `torch.nn.GRUCell` is a cell as it is; this one can be changed.
"""

from __future__ import annotations

import torch
from torch import nn

from .example import Example, signal


class GRU(nn.Module):
    """H (batch, hidden), x (batch, inputs)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.input, self.hidden = nn.Linear(inputs, 3 * hidden), nn.Linear(hidden, 3 * hidden)

    def forward(self, h, x):
        i_r, i_z, i_n = self.input(x).chunk(3, -1)
        h_r, h_z, h_n = self.hidden(h).chunk(3, -1)
        r, z = torch.sigmoid(i_r + h_r), torch.sigmoid(i_z + h_z)
        n = torch.tanh(i_n + r * h_n)
        h = (1 - z) * n + z * h
        return h, h


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    module = GRU(8, 24).to(dtype)
    init = signal(batch, 24, dtype=dtype)
    return Example(module, init, signal(steps, batch, 8, dtype=dtype), list(module.parameters()))
