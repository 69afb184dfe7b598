"""torch.nn's layers on sequences of different lengths: packed, or run to the end of the padding and masked.

Both return what a user works with: h (T, B, hidden), 0 where a sequence is over, and the last h of every sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ..case import Build, Call, Inputs
from .torch_recurrent import module

Run = Callable[[Any, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def forward(inputs: Inputs, layer: Any, run: Run) -> Call:
    """A call that computes h and the last h."""
    x, lengths = (torch.from_numpy(inputs[name]) for name in ("x", "lengths"))

    def call() -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            return run(layer, x, lengths)

    return call


def gradient(inputs: Inputs, layer: Any, parameters: Mapping[str, torch.Tensor], run: Run) -> Call:
    """The same, and the gradients to x and the parameters."""
    x, lengths, g = (torch.from_numpy(inputs[name]) for name in ("x", "lengths", "g"))
    x.requires_grad_()

    def call() -> tuple[torch.Tensor, ...]:
        h, last = run(layer, x, lengths)
        return (h, last, *torch.autograd.grad(h, (x, *parameters.values()), g))

    return call


def last_h(states: Any) -> torch.Tensor:
    """The h of an RNN's or GRU's h_n, or of an LSTM's (h_n, c_n)."""
    h: torch.Tensor = states[0] if isinstance(states, tuple) else states
    return h


def _packed(layer: Any, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    h, states = layer(pack_padded_sequence(x, lengths, enforce_sorted=False))
    return pad_packed_sequence(h, total_length=len(x))[0], last_h(states)


def _padded(layer: Any, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    h = layer(x)[0]
    valid = torch.arange(len(x))[:, None] < lengths
    return h * valid[..., None], h[lengths - 1, torch.arange(len(lengths))][None]


def _forward(kind: Any, run: Run) -> Build:
    return lambda inputs: forward(inputs, module(kind, inputs, "_l0")[0], run)


def _gradient(kind: Any, run: Run) -> Build:
    return lambda inputs: gradient(inputs, *module(kind, inputs, "_l0"), run)


rnn_packed_forward, rnn_packed_gradient = _forward(nn.RNN, _packed), _gradient(nn.RNN, _packed)
gru_packed_forward, gru_packed_gradient = _forward(nn.GRU, _packed), _gradient(nn.GRU, _packed)
lstm_packed_forward, lstm_packed_gradient = _forward(nn.LSTM, _packed), _gradient(nn.LSTM, _packed)
rnn_padded_forward, rnn_padded_gradient = _forward(nn.RNN, _padded), _gradient(nn.RNN, _padded)
gru_padded_forward, gru_padded_gradient = _forward(nn.GRU, _padded), _gradient(nn.GRU, _padded)
lstm_padded_forward, lstm_padded_gradient = _forward(nn.LSTM, _padded), _gradient(nn.LSTM, _padded)
