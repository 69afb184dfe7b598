"""This library: `fb.scan` of torch.nn's cells as they are, and of a tanh cell whose matrix is a band."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from ..case import Call, Inputs
from .torch_recurrent import forward, gradient, module, module_forward, module_gradient


def _scan(cell: Any, x: torch.Tensor) -> torch.Tensor:
    import feedbackward as fb

    h: torch.Tensor = fb.scan(cell, x.new_zeros(x.shape[1], cell.hidden_size), x)[1]
    return h


def rnn_forward(inputs: Inputs) -> Call:
    """torch.nn.RNNCell."""
    return module_forward(inputs, module(nn.RNNCell, inputs)[0], _scan)


def rnn_gradient(inputs: Inputs) -> Call:
    """torch.nn.RNNCell with gradients."""
    return module_gradient(inputs, *module(nn.RNNCell, inputs), _scan)


def gru_forward(inputs: Inputs) -> Call:
    """torch.nn.GRUCell."""
    return module_forward(inputs, module(nn.GRUCell, inputs)[0], _scan)


def gru_gradient(inputs: Inputs) -> Call:
    """torch.nn.GRUCell with gradients."""
    return module_gradient(inputs, *module(nn.GRUCell, inputs), _scan)


def _band(x: torch.Tensor, weights: Mapping[str, torch.Tensor], product: Callable[..., torch.Tensor]) -> torch.Tensor:
    import feedbackward as fb

    w_ih, w_hh, b_ih, b_hh = weights.values()

    def cell(h: torch.Tensor, now: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = torch.tanh(nn.functional.linear(now, w_ih, b_ih) + product(w_hh, h) + b_hh)
        return h, h

    h: torch.Tensor = fb.scan(cell, x.new_zeros(x.shape[1], w_hh.shape[1]), x)[1]
    return h


def _native(x: torch.Tensor, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
    import feedbackward as fb

    each_side = len(weights["weight_hh"]) // 2
    return _band(x, weights, lambda w, h: fb.band_matmul(h, w, each_side, each_side))


def _slices(x: torch.Tensor, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
    def product(w: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        width, hidden = w.shape
        padded = nn.functional.pad(h, (width // 2, width // 2))
        return sum((w[d] * padded[:, d : d + hidden] for d in range(1, width)), w[0] * padded[:, :hidden])

    return _band(x, weights, product)


def band_forward(inputs: Inputs) -> Call:
    """A band in one instruction."""
    return forward(inputs, _native)


def band_gradient(inputs: Inputs) -> Call:
    """The same with gradients."""
    return gradient(inputs, _native)


def band_slices_forward(inputs: Inputs) -> Call:
    """A band as a sum of shifted products."""
    return forward(inputs, _slices)


def band_slices_gradient(inputs: Inputs) -> Call:
    """The same with gradients."""
    return gradient(inputs, _slices)
