"""A filter as a recurrent layer.

A filter of order n in transposed direct form II, with y as one more state,

    y[t]   = s_1[t-1] + b_0 x[t]
    s_i[t] = s_{i+1}[t-1] - a_i y[t] + b_i x[t]
           = s_{i+1}[t-1] - a_i s_1[t-1] + (b_i - a_i b_0) x[t],    i = 1 .. n,    s_{n+1} = 0

is h[t] = W_hh h[t-1] + W_ih x[t] with h = (y, s_1 .. s_n): W_hh is a companion matrix, ones above the diagonal and
(1, -a_1 .. -a_n) in the column of s_1; W_ih = (b_0, b_1 - a_1 b_0, ..).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def companion(b: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """W_ih (n + 1, 1) and W_hh (n + 1, n + 1) of the filter b (nb,), a (na,), n = max(nb, na, 2) - 1."""
    taps = max(b.shape[-1], a.shape[-1], 2)
    b, a = (pad(c, (0, taps - c.shape[-1])) / a[0] for c in (b, a))
    weight_ih = torch.cat([b[:1], b[1:] - a[1:] * b[0]]).unsqueeze(1)
    weight_hh = torch.diag(b.new_ones(taps - 1), 1)
    weight_hh[1:, 1] -= a[1:]
    return weight_ih, weight_hh
