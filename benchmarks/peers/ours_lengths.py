"""This library: `fb.nn`'s layers with ``lengths=``."""

from __future__ import annotations

from typing import Any

import torch

from ..case import Build
from .ours_layers import layer
from .torch_lengths import forward, gradient, last_h


def _run(mine: Any, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    h, states = mine(x, lengths=lengths)
    return h, last_h(states)


def _forward(kind: str) -> Build:
    return lambda inputs: forward(inputs, layer(kind, inputs)[0], _run)


def _gradient(kind: str) -> Build:
    return lambda inputs: gradient(inputs, *layer(kind, inputs), _run)


rnn_forward, rnn_gradient = _forward("RNN"), _gradient("RNN")
gru_forward, gru_gradient = _forward("GRU"), _gradient("GRU")
lstm_forward, lstm_gradient = _forward("LSTM"), _gradient("LSTM")
