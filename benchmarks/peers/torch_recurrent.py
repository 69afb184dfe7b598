"""torch.nn's layers, and the same cells in a loop over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from ..case import Call, Inputs

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
Run = Callable[[torch.Tensor, Mapping[str, torch.Tensor]], torch.Tensor]  # x and the weights to every h


def tensors(inputs: Inputs, grad: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """x and the weights."""
    made = {name: torch.from_numpy(inputs[name]).requires_grad_(grad) for name in ("x", *WEIGHTS)}
    return made.pop("x"), made


def forward(inputs: Inputs, run: Run) -> Call:
    """A call that computes h."""
    x, weights = tensors(inputs, grad=False)
    return lambda: (run(x, weights),)


def gradient(inputs: Inputs, run: Run) -> Call:
    """A call that computes h and the gradients to x and the weights."""
    x, weights = tensors(inputs, grad=True)
    g = torch.from_numpy(inputs["g"])

    def call() -> tuple[torch.Tensor, ...]:
        h = run(x, weights)
        return (h, *torch.autograd.grad(h, (x, *weights.values()), g))

    return call


def module(kind: Any, inputs: Inputs, suffix: str = "") -> tuple[Any, dict[str, torch.Tensor]]:
    """A layer or cell of torch.nn with these weights, and its parameters by our names."""
    features, hidden = inputs["weight_ih"].shape[1], inputs["weight_hh"].shape[1]
    layer = kind(features, hidden, dtype=torch.from_numpy(inputs["x"]).dtype)
    parameters = {name: getattr(layer, name + suffix) for name in WEIGHTS}
    for name, parameter in parameters.items():
        parameter.data.copy_(torch.from_numpy(inputs[name]))
    return layer, parameters


def module_forward(inputs: Inputs, layer: Any, run: Callable[[Any, torch.Tensor], torch.Tensor]) -> Call:
    """A call that computes h by a module."""
    x = torch.from_numpy(inputs["x"])

    def call() -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            return (run(layer, x),)

    return call


def module_gradient(
    inputs: Inputs, layer: Any, parameters: Mapping[str, torch.Tensor], run: Callable[[Any, torch.Tensor], torch.Tensor]
) -> Call:
    """A call that computes h by a module, and the gradients to x and its parameters."""
    x, g = torch.from_numpy(inputs["x"]).requires_grad_(), torch.from_numpy(inputs["g"])

    def call() -> tuple[torch.Tensor, ...]:
        h = run(layer, x)
        return (h, *torch.autograd.grad(h, (x, *parameters.values()), g))

    return call


def _layer(layer: Any, x: torch.Tensor) -> torch.Tensor:
    h: torch.Tensor = layer(x)[0]
    return h


def _loop(cell: Any, x: torch.Tensor) -> torch.Tensor:
    h, outputs = x.new_zeros(x.shape[1], cell.hidden_size), []
    for now in x.unbind(0):
        h = cell(now, h)
        outputs.append(h)
    return torch.stack(outputs)


def rnn_forward(inputs: Inputs) -> Call:
    """torch.nn.RNN."""
    return module_forward(inputs, module(nn.RNN, inputs, "_l0")[0], _layer)


def rnn_gradient(inputs: Inputs) -> Call:
    """torch.nn.RNN with gradients."""
    return module_gradient(inputs, *module(nn.RNN, inputs, "_l0"), _layer)


def gru_forward(inputs: Inputs) -> Call:
    """torch.nn.GRU."""
    return module_forward(inputs, module(nn.GRU, inputs, "_l0")[0], _layer)


def gru_gradient(inputs: Inputs) -> Call:
    """torch.nn.GRU with gradients."""
    return module_gradient(inputs, *module(nn.GRU, inputs, "_l0"), _layer)


def lstm_forward(inputs: Inputs) -> Call:
    """torch.nn.LSTM."""
    return module_forward(inputs, module(nn.LSTM, inputs, "_l0")[0], _layer)


def lstm_gradient(inputs: Inputs) -> Call:
    """torch.nn.LSTM with gradients."""
    return module_gradient(inputs, *module(nn.LSTM, inputs, "_l0"), _layer)


def rnn_loop_forward(inputs: Inputs) -> Call:
    """torch.nn.RNNCell, step by step."""
    return module_forward(inputs, module(nn.RNNCell, inputs)[0], _loop)


def rnn_loop_gradient(inputs: Inputs) -> Call:
    """The same with gradients."""
    return module_gradient(inputs, *module(nn.RNNCell, inputs), _loop)


def gru_loop_forward(inputs: Inputs) -> Call:
    """torch.nn.GRUCell, step by step."""
    return module_forward(inputs, module(nn.GRUCell, inputs)[0], _loop)


def gru_loop_gradient(inputs: Inputs) -> Call:
    """The same with gradients."""
    return module_gradient(inputs, *module(nn.GRUCell, inputs), _loop)
