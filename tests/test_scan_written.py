"""Backward reads outputs that forward wrote, instead of computing steps again or writing them down once more."""

from __future__ import annotations

import pytest
import torch

import feedbackward as fb
from feedbackward.engine.adapt import as_cell
from feedbackward.engine.arguments import validated
from feedbackward.engine.prepare import prepare
from feedbackward.engine.programs import differentiated

torch.manual_seed(0)
ROWS = 5
DENSE, BAND, RATE = torch.randn(ROWS, ROWS).double() / 4, torch.randn(3, ROWS).double() / 3, torch.rand(ROWS).double()


def recurrent(h, x):
    """The output is the state, and the factor of two products."""
    h = torch.tanh(x + h @ DENSE.T + fb.band_matmul(h, BAND, 1, 1))
    return h, h


def leaky(h, x):
    """The gradient of RATE wants the state before the step; another output is in the way."""
    h = RATE * h + x
    return h, (h.sin(), h)


def gated(h, x):
    """What the gate was is no output: backward computes it again, but has the factor of the product."""
    gate = torch.sigmoid(h @ DENSE.T + x)
    h = gate * h + (1 - gate) * x
    return h, h


def hidden(h, x):
    """The state is no output: nothing is found."""
    h = torch.tanh(h @ DENSE.T + x)
    return h, h.cos()


def written(cell):
    init, x = torch.zeros(3, ROWS, dtype=torch.float64), torch.zeros(7, 3, ROWS, dtype=torch.float64)
    prepared, _ = prepare(cell, as_cell(cell), validated(init, x, 0, None).form)
    step = prepared.program
    count = len(step.held) + len(step.matrices) + len(step.sequences) + len(step.states)
    return differentiated(prepared.text, (True,) * count)


@pytest.mark.parametrize(
    ("cell", "replays", "kept"),
    [(recurrent, False, (0,)), (leaky, False, (1,)), (gated, True, (0,)), (hidden, True, ())],
)
def test_what_is_found(cell, replays, kept):
    assert written(cell).replays == replays
    assert written(cell).kept == kept


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 2, 50])
@pytest.mark.parametrize("lanes", [1, 20, 130])
@pytest.mark.parametrize("cell", [recurrent, leaky, gated, hidden])
def test_gradients(cell, lanes, steps, reverse):
    parameters = (DENSE, BAND, RATE)
    init = torch.randn(lanes, ROWS, dtype=torch.float64, requires_grad=True)
    x = torch.randn(steps, lanes, ROWS, dtype=torch.float64, requires_grad=True)
    gradients = []
    for run in (fb.scan, fb.reference.scan):
        for p in parameters:
            p.requires_grad_()
        h, ys = run(cell, init, x, reverse=reverse)
        ys = ys if isinstance(ys, tuple) else (ys,)
        loss = h.square().sum() + sum((y * (i + y)).sum() for i, y in enumerate(ys))
        gradients.append(torch.autograd.grad(loss, (init, x, *parameters), allow_unused=True, materialize_grads=True))
        for p in parameters:
            p.requires_grad_(False)
    for actual, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10 * max(1, steps))


def test_an_output_that_backward_reads_must_not_change():
    x = torch.randn(7, 3, ROWS, dtype=torch.float64, requires_grad=True)
    init = torch.zeros(3, ROWS, dtype=torch.float64)
    y = fb.scan(recurrent, init, x)[1]
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    y = fb.scan(hidden, init, x)[1]
    y.mul_(2)
    y.sum().backward()
