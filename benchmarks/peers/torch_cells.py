"""A cell in a loop over time in PyTorch, differentiated by autograd."""

from __future__ import annotations

from typing import Any

import torch

from ..case import Call, Inputs
from ..cells import CELLS, Step


def prepared(inputs: Inputs, grad: bool) -> tuple[Any, Any, torch.Tensor, list[torch.Tensor]]:
    """The cell, its first carry, x, and the parameters that the cell closes over."""
    cell = CELLS[str(inputs["cell"])]
    x = torch.from_numpy(inputs["x"]).requires_grad_(grad)
    parameters = [torch.from_numpy(value).requires_grad_(grad) for value in _parameters(inputs)]
    carry = tuple(x.new_zeros(x.shape[1:]) for _ in range(cell.states))
    return cell.step(torch, *parameters), carry, x, parameters


def _parameters(inputs: Inputs) -> list[Any]:
    return [value for name, value in inputs.items() if name not in ("cell", "x", "g")]


def loop(step: Step, carry: Any, x: torch.Tensor) -> torch.Tensor:
    """Every y; x is unbound once, because the gradient of an index is a tensor as long as x."""
    outputs = []
    for now in x.unbind(0):
        carry, y = step(carry, now)
        outputs.append(y)
    return torch.stack(outputs)


def forward(inputs: Inputs) -> Call:
    """y, without a graph."""
    step, carry, x, _ = prepared(inputs, grad=False)
    return lambda: (loop(step, carry, x),)


def gradient(inputs: Inputs) -> Call:
    """y and the gradients to x and the parameters."""
    step, carry, x, parameters = prepared(inputs, grad=True)
    g = torch.from_numpy(inputs["g"])

    def call() -> tuple[torch.Tensor, ...]:
        y = loop(step, carry, x)
        return (y, *torch.autograd.grad(y, (x, *parameters), g))

    return call
