"""An independently recurrent network: every unit remembers itself only (Li et al., 2018).

h[t] = relu(W x[t] + u * h[t-1] + b)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .example import Example, parameter, signal


def indrnn(inputs: nn.Linear, u: Tensor):
    """U (hidden,), h (batch, hidden), x (batch, inputs)."""

    def cell(h, x):
        h = torch.relu(inputs(x) + u * h)
        return h, h

    return cell


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    inputs, u = nn.Linear(8, 24).to(dtype), parameter(torch.rand(24), dtype)
    init = signal(batch, 24, dtype=dtype)
    return Example(indrnn(inputs, u), init, signal(steps, batch, 8, dtype=dtype), [u, *inputs.parameters()])
