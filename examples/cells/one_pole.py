"""A one-pole low-pass for every channel, its pole learned where it is stable.

a = sigmoid(pole)
y[t] = a y[t-1] + (1 - a) x[t]
"""

from __future__ import annotations

import torch
from torch import Tensor

from .example import Example, parameter, signal


def one_pole(pole: Tensor):
    """Pole (channels,), y and x (batch, channels)."""

    def cell(y, x):
        a = torch.sigmoid(pole)
        y = a * y + (1 - a) * x
        return y, y

    return cell


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    pole = parameter(torch.randn(16), dtype)
    init = signal(batch, 16, dtype=dtype)
    return Example(one_pole(pole), init, signal(steps, batch, 16, dtype=dtype), [pole])
