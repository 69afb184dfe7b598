"""An LSTM whose sums and memory are normalized in every step (Ba et al., 2016).

i, f, g, o = norm(W_x x[t]) + norm(W_h h[t-1]) + b
c[t] = sigmoid(f) c[t-1] + sigmoid(i) tanh(g)
h[t] = sigmoid(o) tanh(norm(c[t]))
"""

from __future__ import annotations

import torch
from torch import nn

from .example import Example, signal


class LayerNormLSTM(nn.Module):
    """H and c (batch, hidden), x (batch, inputs)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Sequential(nn.Linear(inputs, 4 * hidden, bias=False), nn.LayerNorm(4 * hidden))
        self.hidden = nn.Sequential(nn.Linear(hidden, 4 * hidden, bias=False), nn.LayerNorm(4 * hidden, bias=False))
        self.memory = nn.LayerNorm(hidden)

    def forward(self, state, x):
        h, c = state
        i, f, g, o = (self.input(x) + self.hidden(h)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(self.memory(c))
        return (h, c), h


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    module = LayerNormLSTM(8, 24).to(dtype)
    init = signal(batch, 24, dtype=dtype), signal(batch, 24, dtype=dtype)
    return Example(module, init, signal(steps, batch, 8, dtype=dtype), list(module.parameters()))
