"""This library: `fb.scan` of a cell."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from ..case import Call, Inputs
from .torch_cells import prepared

NUMBERS = itertools.count(1)  # one for the whole process, so that no cell is ever seen twice


def forward(inputs: Inputs) -> Call:
    """y of a pointwise cell."""
    import feedbackward as fb

    step, carry, x, _ = prepared(inputs, grad=False)
    return lambda: (fb.scan(step, carry, x)[1],)


def gradient(inputs: Inputs) -> Call:
    """The same with gradients to x and the parameters."""
    import feedbackward as fb

    step, carry, x, parameters = prepared(inputs, grad=True)
    g = torch.from_numpy(inputs["g"])

    def call() -> tuple[torch.Tensor, ...]:
        y = fb.scan(step, carry, x)[1]
        return (y, *torch.autograd.grad(y, (x, *parameters), g))

    return call


def unseen(inputs: Inputs, check: bool = True) -> Call:
    """The same with a cell that differs from every one before in a number, so that it is traced anew."""
    import feedbackward as fb

    step, carry, x, parameters = prepared(inputs, grad=True)
    g = torch.from_numpy(inputs["g"])

    def call() -> tuple[torch.Tensor, ...]:
        scale = 1 - next(NUMBERS) * 1e-12

        def cell(state: Any, now: torch.Tensor) -> tuple[Any, torch.Tensor]:
            state, y = step(state, now)
            return state, scale * y

        y = fb.scan(cell, carry, x, check=check)[1]
        return (y, *torch.autograd.grad(y, (x, *parameters), g))

    return call


def unseen_unchecked(inputs: Inputs) -> Call:
    """The same without the comparison of program and cell."""
    return unseen(inputs, check=False)
