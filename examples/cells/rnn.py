"""The recurrent network of textbooks (Elman, 1990).

h[t] = tanh(W_x x[t] + W_h h[t-1] + b)
"""

from __future__ import annotations

import torch
from torch import Tensor

from .example import Example, parameter, signal


def rnn(w_x: Tensor, w_h: Tensor, b: Tensor):
    """W_x (hidden, inputs), w_h (hidden, hidden), b (hidden,); h (batch, hidden), x (batch, inputs)."""

    def cell(h, x):
        h = torch.tanh(x @ w_x.T + h @ w_h.T + b)
        return h, h

    return cell


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    shapes = (24, 8), (24, 24), (24,)
    weights = [parameter(0.2 * torch.randn(shape), dtype) for shape in shapes]
    init = signal(batch, 24, dtype=dtype)
    return Example(rnn(*weights), init, signal(steps, batch, 8, dtype=dtype), weights)
