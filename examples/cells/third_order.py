"""A third-order filter with three state variables, one line of Python each.

y[t]  = b0 x[t] + v1[t-1]
v1[t] = b1 x[t] - a1 y[t] + v2[t-1]
v2[t] = b2 x[t] - a2 y[t] + v3[t-1]
v3[t] = b3 x[t] - a3 y[t]
"""

from __future__ import annotations

import torch
from torch import nn

from .example import Example, signal


class ThirdOrder(nn.Module):
    """A filter as a recurrent cell; v1, v2, v3 and x (batch,)."""

    def __init__(self, b: list[float], a: list[float]) -> None:
        super().__init__()
        self.b, self.a = nn.Parameter(torch.tensor(b)), nn.Parameter(torch.tensor(a))

    def forward(self, state, x):
        v1, v2, v3 = state
        b, a = self.b, self.a
        y = b[0] * x + v1
        v1 = b[1] * x - a[1] * y + v2
        v2 = b[2] * x - a[2] * y + v3
        v3 = b[3] * x - a[3] * y
        return (v1, v2, v3), y


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    filter = ThirdOrder([0.1, 0.3, 0.3, 0.1], [1.0, -0.6, 0.4, -0.05]).to(dtype)
    init = tuple(signal(batch, dtype=dtype) for _ in range(3))
    return Example(filter, init, signal(steps, batch, dtype=dtype), list(filter.parameters()))
