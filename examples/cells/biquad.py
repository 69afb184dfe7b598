"""A second-order filter in transposed direct form II.

    y[t]  = b0 x[t] + s1[t-1]
    s1[t] = b1 x[t] - a1 y[t] + s2[t-1]
    s2[t] = b2 x[t] - a2 y[t]

`feedbackward.lfilter` is this loop by hand; as a cell it is a place to start from.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .example import Example, parameter, signal


def biquad(b: Tensor, a: Tensor):
    """b (3,) and a (2,), the coefficients after a0 = 1; s1, s2 and x (batch,)."""

    def cell(state, x):
        (b0, b1, b2), (a1, a2) = b.unbind(), a.unbind()
        s1, s2 = state
        y = b0 * x + s1
        return (b1 * x - a1 * y + s2, b2 * x - a2 * y), y

    return cell


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    b, a = parameter([0.2, 0.4, 0.2], dtype), parameter([-0.9, 0.5], dtype)
    init = signal(batch, dtype=dtype), signal(batch, dtype=dtype)
    return Example(biquad(b, a), init, signal(steps, batch, dtype=dtype), [b, a])
