"""A recurrent matrix that is a band, as torch.nn has it: a dense parameter, under a mask at every call.

    h[t] = tanh(W_ih x[t] + b_ih + (mask * W) h[t-1] + b_hh),    mask[i, j] = 1 where |i - j| <= each side, else 0

The inputs hold the band by diagonals, as `cases.band` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from ..case import Call, Inputs
from .torch_recurrent import tensors


def places(band: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Row and column of every entry of a weight by diagonals, and which of the entries the matrix has."""
    width, hidden = band.shape
    row = torch.arange(hidden).expand(width, hidden)
    column = row + torch.arange(width)[:, None] - width // 2
    return row, column, (column >= 0) & (column < hidden)


def dense(band: torch.Tensor) -> torch.Tensor:
    """The matrix (hidden, hidden) of a weight (2 * each side + 1, hidden)."""
    row, column, inside = places(band)
    return band.new_zeros(len(band[0]), len(band[0])).index_put((row[inside], column[inside]), band[inside])


def diagonals(matrix: torch.Tensor, band: torch.Tensor) -> torch.Tensor:
    """The entries of a matrix that a weight by diagonals has, in its shape."""
    row, column, inside = places(band)
    return torch.zeros_like(band).index_put((inside,), matrix[row[inside], column[inside]])


def _layer(x: torch.Tensor, weights: Mapping[str, torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
    parameters = [weights["weight_ih"], mask * weights["weight_hh"], weights["bias_ih"], weights["bias_hh"]]
    start = x.new_zeros(1, x.shape[1], len(mask))
    h: torch.Tensor = torch.rnn_tanh(x, start, parameters, True, 1, 0.0, True, False, False)[0]
    return h


def _prepare(inputs: Inputs, grad: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
    x, weights = tensors(inputs, grad=grad)
    band = weights["weight_hh"].detach()
    weights["weight_hh"] = dense(band).requires_grad_(grad)
    return x, weights, dense(torch.ones_like(band))


def band_forward(inputs: Inputs) -> Call:
    """What torch.nn.RNN calls, with a masked matrix."""
    x, weights, mask = _prepare(inputs, grad=False)
    return lambda: (_layer(x, weights, mask),)


def band_gradient(inputs: Inputs) -> Call:
    """The same with gradients; what is compared is the gradient's band, whose copy is small beside the rest."""
    x, weights, mask = _prepare(inputs, grad=True)
    g, band = (torch.from_numpy(inputs[name]) for name in ("g", "weight_hh"))

    def call() -> Sequence[torch.Tensor]:
        h = _layer(x, weights, mask)
        d_x, d_ih, d_hh, *d_bias = torch.autograd.grad(h, (x, *weights.values()), g)
        return h, d_x, d_ih, diagonals(d_hh, band), *d_bias

    return call
