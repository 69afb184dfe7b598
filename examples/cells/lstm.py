"""A long short-term memory (Hochreiter and Schmidhuber, 1997; with a forget gate).

    i, f, g, o = W_x x[t] + W_h h[t-1] + b
    c[t] = sigmoid(f) c[t-1] + sigmoid(i) tanh(g)
    h[t] = sigmoid(o) tanh(c[t])

A `torch.nn.LSTMCell` is a cell as it is; this one can be changed.
"""

from __future__ import annotations

import torch
from torch import nn

from .example import Example, signal


class LSTM(nn.Module):
    """H and c (batch, hidden), x (batch, inputs)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.input, self.hidden = nn.Linear(inputs, 4 * hidden), nn.Linear(hidden, 4 * hidden, bias=False)

    def forward(self, state, x):
        h, c = state
        i, f, g, o = (self.input(x) + self.hidden(h)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return (h, c), h


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    module = LSTM(8, 24).to(dtype)
    init = signal(batch, 24, dtype=dtype), signal(batch, 24, dtype=dtype)
    return Example(module, init, signal(steps, batch, 8, dtype=dtype), list(module.parameters()))
