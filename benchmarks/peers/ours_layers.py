"""This library: `fb.nn`'s layers, made from torch.nn's, and `fb.nn.BandRNN`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from ..case import Build, Inputs
from .torch_recurrent import WEIGHTS, module, module_forward, module_gradient

Layer = tuple[Any, Mapping[str, torch.Tensor]]
Make = Callable[[Inputs], Layer]


def layer(kind: str, inputs: Inputs) -> Layer:
    """A layer in the place of torch.nn's with these weights, and its parameters by our names."""
    import feedbackward as fb

    theirs, parameters = module(getattr(nn, kind), inputs, "_l0")
    return getattr(fb.nn, kind).from_torch(theirs), parameters


def band_layer(inputs: Inputs) -> Layer:
    """A BandRNN with these weights, and its parameters by our names."""
    import feedbackward as fb

    width, hidden = inputs["weight_hh"].shape
    mine = fb.nn.BandRNN(inputs["x"].shape[2], hidden, width // 2)
    parameters = {name: getattr(mine, name + "_l0") for name in WEIGHTS}
    for name, parameter in parameters.items():
        parameter.data.copy_(torch.from_numpy(inputs[name]))
    return mine, parameters


def _run(mine: Any, x: torch.Tensor) -> torch.Tensor:
    h: torch.Tensor = mine(x)[0]
    return h


def _forward(make: Make) -> Build:
    return lambda inputs: module_forward(inputs, make(inputs)[0], _run)


def _gradient(make: Make) -> Build:
    return lambda inputs: module_gradient(inputs, *make(inputs), _run)


rnn, gru, lstm = (partial(layer, kind) for kind in ("RNN", "GRU", "LSTM"))
rnn_forward, rnn_gradient = _forward(rnn), _gradient(rnn)
gru_forward, gru_gradient = _forward(gru), _gradient(gru)
lstm_forward, lstm_gradient = _forward(lstm), _gradient(lstm)
band_forward, band_gradient = _forward(band_layer), _gradient(band_layer)
