"""Simple exponential smoothing, which forecasts one step ahead.

    e[t] = x[t] - level[t-1]
    level[t] = level[t-1] + alpha e[t]

The forecast of x[t] is level[t-1]; training minimizes the squares of e.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .example import Example, parameter, signal


def exponential_smoothing(alpha: Tensor):
    """Alpha () in 0 .. 1, level and x (batch,)."""

    def cell(level, x):
        error = x - level
        return level + alpha * error, {"forecast": level, "error": error}

    return cell


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    alpha = parameter(0.3, dtype)
    init = signal(batch, dtype=dtype)
    return Example(exponential_smoothing(alpha), init, signal(steps, batch, dtype=dtype), [alpha])
