"""The recurrent cases of `benchmarks.gpu`: a layer whose matrix is a band, and pointwise cells through `scan`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import feedbackward as fb
from feedbackward import reference

from .cells import CELLS
from .gpu_work import Call, Case, Work, outputs_and_gradients

STEPS, BATCH, FEATURES, HIDDEN, BAND = 500, 16, 128, 1024, 8
CELL_STEPS, CELL_LANES = 2000, 8192


def banded(device: torch.device, small: bool) -> Work:
    """A training step of nn.BandRNN, against its equation in torch on the CPU."""
    hidden = 24 if small else HIDDEN
    layer = fb.nn.BandRNN(3 if small else FEATURES, hidden, BAND)
    exact = copy.deepcopy(layer).double()
    layer = layer.to(device)
    x = torch.randn((4, 2, 3) if small else (STEPS, BATCH, FEATURES))
    g = torch.randn(*x.shape[:2], hidden)
    mine, g_there = x.to(device).requires_grad_(), g.to(device)
    wide = x.double().requires_grad_()

    def loop() -> Tensor:
        matrix = exact.recurrent_matrix().to_dense()
        h, outputs = wide.new_zeros(wide.shape[1], hidden), []
        for now in wide.unbind():
            h = torch.tanh(now @ exact.weight_ih_l0.T + exact.bias_ih_l0 + h @ matrix.T + exact.bias_hh_l0)
            outputs.append(h)
        return torch.stack(outputs)

    def of(where: fb.nn.BandRNN, signal: Tensor) -> list[Tensor]:
        return [signal, where.weight_ih_l0, where.weight_hh_l0, where.bias_ih_l0]

    moved = sum(t.numel() for t in (x, g, *layer.parameters()))
    return Work(
        call=lambda: outputs_and_gradients(layer(mine)[0], of(layer, mine), g_there),
        truth=lambda: outputs_and_gradients(loop(), of(exact, wide), g.double()),
        tolerance=1e-3,
        bytes=4 * 3 * moved,  # x and the weights in, h out; both and dh in, gradients out
    )


def dense_rnn(device: torch.device, small: bool) -> Call:
    """A training step of torch.nn.RNN of the same size, which is cuDNN's."""
    layer = nn.RNN(FEATURES, HIDDEN).to(device)
    x = torch.randn(STEPS, BATCH, FEATURES, device=device, requires_grad=True)
    g = torch.randn(STEPS, BATCH, HIDDEN, device=device)
    return lambda: outputs_and_gradients(layer(x)[0], [x, *layer.parameters()], g)


def _cell(name: str, device: torch.device, small: bool) -> tuple[Callable[..., Any], tuple[Tensor, ...], list[Tensor]]:
    cell = CELLS[name]
    steps, lanes = (6, 3) if small else (CELL_STEPS, CELL_LANES)
    x = torch.randn(steps, lanes, generator=torch.Generator().manual_seed(1)).to(device)
    parameters = [torch.from_numpy(value).float().to(device) for value in cell.parameters(lanes).values()]
    return cell.step, tuple(x.new_zeros(lanes) for _ in range(cell.states)), [x, *parameters]


def lanes(name: str, gradient: bool, device: torch.device, small: bool) -> Work:
    """A cell of `benchmarks.cells` over lanes of their own, against the plain loop on the CPU."""
    step, carry, inputs = _cell(name, device, small)
    here = [t.cpu().double().requires_grad_(gradient) for t in inputs]
    there = [t.requires_grad_(gradient) for t in inputs]
    g = torch.randn(inputs[0].shape, device=device) if gradient else None

    def run(
        scan: Callable[..., tuple[object, Tensor]], start: Sequence[Tensor], tensors: list[Tensor]
    ) -> Sequence[Tensor]:
        y = scan(step(torch, *tensors[1:]), tuple(start), tensors[0])[1]
        return (y.detach(),) if g is None else outputs_and_gradients(y, tensors, g.to(y))

    size = inputs[0].numel()
    return Work(
        call=lambda: run(fb.scan, carry, there),
        truth=lambda: run(reference.scan, [t.cpu().double() for t in carry], here),
        tolerance=1e-3,
        bytes=4 * size * (5 if gradient else 2),  # x in, y out; x and dy in, dx out
    )


def compiled_scan(name: str, device: torch.device, small: bool) -> Call:
    """torch's own scan of the same cell, compiled; what a step returns may not be a tensor that it was given."""
    from torch._higher_order_ops.scan import scan

    step, carry, tensors = _cell(name, device, small)

    def call(start: tuple[Tensor, ...], x: Tensor, *parameters: Tensor) -> Tensor:
        cell = step(torch, *parameters)

        def one(state: tuple[Tensor, ...], now: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
            after, y = cell(state, now)
            return tuple(s.clone() for s in after), y.clone()

        return scan(one, start, x)[1]

    compiled = torch.compile(call)

    def run() -> tuple[Tensor]:
        with torch._dynamo.config.patch(capture_scalar_outputs=True):  # its loop counter is one
            return (compiled(carry, *tensors),)

    return run


SCANS = (
    Case("BandRNN, 1024 channels +-8, a training step", banded, peers=[("cuDNN's dense RNN", dense_rnn, 3.0)]),
    *(
        Case(
            f"cell {name}, {'forward and backward' if gradient else 'forward'}",
            partial(lanes, name, gradient),
            peers=[] if gradient else [("torch.compile of torch's scan", partial(compiled_scan, name), 20.0)],
        )
        for name in CELLS
        for gradient in (False, True)
    ),
)
