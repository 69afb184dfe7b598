"""A comb with a damped echo: a delay line of n samples whose end is fed back.

    e[t] = line[t-n] + d (line[t-n-1] - line[t-n])
    line[t] = x[t] + g e[t]

The line is a tensor; every step puts one sample in front and drops one at the end.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .example import Example, parameter, signal


def comb(gain: Tensor, damping: Tensor):
    """Gain, damping (); the line (batch, n + 1), x (batch,)."""

    def cell(line, x):
        echo = torch.lerp(line[:, -2], line[:, -1], damping)
        y = x + gain * echo
        return torch.cat([y[:, None], line[:, :-1]], -1), y

    return cell


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    gain, damping = parameter(0.7, dtype), parameter(0.2, dtype)
    init = signal(batch, 30, dtype=dtype)
    return Example(comb(gain, damping), init, signal(steps, batch, dtype=dtype), [gain, damping])
