"""The recurrent cases of `benchmarks.gpu`: a layer whose matrix is a band, and pointwise cells through `scan`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import feedbackward as fb

from .case import Inputs
from .cases import band, cells, recurrent
from .cells import CELLS
from .gpu_work import Build, Call, Case, Peer, Target, on
from .peers.ours_layers import band_layer
from .peers.torch_band import dense, diagonals
from .peers.torch_recurrent import WEIGHTS

STEPS, LANES = 2000, 8192
_DIAGONALS = 2  # where the gradient of the recurrent matrix is among those of a layer: x, weight_ih, weight_hh


def _band(small: bool) -> Inputs:
    """500 steps of 16 sequences of 128 features through 1024 channels, +-8."""
    return band.maker(6, 2, 3, 24)(False) if small else band.maker(500, 16, 128, 1024)(False)


def _band_step(inputs: Inputs, device: torch.device) -> Call:
    """A training step of nn.BandRNN: h, and the gradients of sum(g h) to x and every weight."""
    layer, parameters = band_layer(inputs)
    return _training_step(layer.to(device), list(parameters.values()), inputs, device)


def _training_step(layer: nn.Module, weights: Sequence[Tensor], inputs: Inputs, device: torch.device) -> Call:
    (x,), (g,) = on(device, inputs["x"], grad=True), on(device, inputs["g"])

    def call() -> Sequence[Tensor]:
        h = layer(x)[0]
        return h, *torch.autograd.grad(h, (x, *weights), g)

    return call


def _dense_step(precision: str) -> Build:
    """The same of torch.nn.RNN, which is cuDNN's, whose matrix holds the band and zeros beside it: the same function.

    cuDNN finds the gradient of the whole matrix; what is compared is its band.
    """

    def build(inputs: Inputs, device: torch.device) -> Call:
        layer = nn.RNN(inputs["x"].shape[2], inputs["weight_hh"].shape[1])
        weights = [getattr(layer, name + "_l0") for name in WEIGHTS]
        for name, weight in zip(WEIGHTS, weights, strict=True):
            given = torch.from_numpy(inputs[name])
            weight.data.copy_(dense(given) if name == "weight_hh" else given)
        step = _training_step(layer.to(device), weights, inputs, device)

        def call() -> Sequence[Tensor]:
            with _layers_in(precision):
                return step()

        return call

    return build


@contextlib.contextmanager
def _layers_in(precision: str) -> Iterator[None]:
    """What cuDNN's layers make of float32: "ieee", or "tf32", which is torch's default."""
    settings: Any = torch.backends.cudnn.rnn
    before, settings.fp32_precision = settings.fp32_precision, precision
    try:
        yield
    finally:
        settings.fp32_precision = before


def _of_band(outputs: Sequence[Tensor]) -> Sequence[Tensor]:
    h, *gradients = (output.detach().cpu() for output in outputs)
    matrix = gradients[_DIAGONALS]
    gradients[_DIAGONALS] = diagonals(matrix, matrix.new_zeros(2 * band.BAND + 1, len(matrix)))
    return h, *gradients


def _tf32_tolerance(inputs: Inputs) -> float:
    """Both factors of a product are rounded to 11 bits, what is added up is not; three times that for gradients."""
    radius = float(inputs["weight_hh"].std() * np.sqrt(min(inputs["weight_hh"].shape)))
    return recurrent.gradient_tolerance(inputs) + 3 * 2 * 2.0**-11 / (1 - radius)


def _band_moved(inputs: Inputs) -> int:
    """Forward reads x and the weights and writes h; backward reads all that and dh, and writes gradients."""
    x, h = inputs["x"].nbytes, inputs["g"].nbytes
    weights = sum(inputs[name].nbytes for name in WEIGHTS)
    return (x + weights + h) + (x + weights + h + h) + (x + weights)


DENSE, DENSE_TF32 = "cuDNN's dense RNN", "cuDNN's dense RNN in TF32"

BAND = Case(
    name="BandRNN, 1024 channels +-8, a training step",
    make=_band,
    expected=band.expected("band_gradient"),
    tolerance=recurrent.gradient_tolerance,
    moved=_band_moved,
    ours=_band_step,
    peers={
        DENSE: Peer(_dense_step("ieee"), _of_band),
        DENSE_TF32: Peer(_dense_step("tf32"), _of_band, _tf32_tolerance),
    },
    targets=[Target(DENSE, 3.0), Target(DENSE_TF32, 3.0)],
)


def _cell(inputs: Inputs, device: torch.device, gradient: bool) -> tuple[Any, tuple[Tensor, ...], list[Tensor]]:
    """What makes the cell of its parameters, the first carry, and x with the parameters."""
    cell = CELLS[str(inputs["cell"])]
    given = [value for name, value in inputs.items() if name not in ("cell", "g")]
    tensors = on(device, *given, grad=gradient)
    carry = tuple(torch.zeros(inputs["x"].shape[1:], device=device) for _ in range(cell.states))
    return cell.step, carry, tensors


def _run(scan: Callable[[], Tensor], tensors: Sequence[Tensor], inputs: Inputs, device: torch.device) -> Call:
    """y, and the gradients of sum(g y) where the tensors want them."""
    if not tensors[0].requires_grad:
        return lambda: (scan(),)
    (g,) = on(device, inputs["g"])

    def call() -> Sequence[Tensor]:
        y = scan()
        return y, *torch.autograd.grad(y, tensors, g)

    return call


def _native(gradient: bool) -> Build:
    """`fb.scan` of a cell."""

    def build(inputs: Inputs, device: torch.device) -> Call:
        step, carry, tensors = _cell(inputs, device, gradient)
        cell = step(torch, *tensors[1:])
        return _run(lambda: fb.scan(cell, carry, tensors[0])[1], tensors, inputs, device)

    return build


def _compiled(gradient: bool) -> Build:
    """torch's own scan of the same cell, compiled; what a step returns may not be a tensor that it was given."""

    def build(inputs: Inputs, device: torch.device) -> Call:
        from torch._higher_order_ops.scan import scan

        step, carry, tensors = _cell(inputs, device, gradient)

        def whole(start: tuple[Tensor, ...], x: Tensor, *parameters: Tensor) -> Tensor:
            cell = step(torch, *parameters)

            def one(state: tuple[Tensor, ...], now: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
                after, y = cell(state, now)
                return tuple(s.clone() for s in after), y.clone()

            y: Tensor = scan(one, start, x)[1]
            return y

        compiled = torch.compile(whole)

        def run() -> Tensor:
            with torch._dynamo.config.patch(capture_scalar_outputs=True):  # its loop counter is one
                return compiled(carry, *tensors)

        return _run(run, tensors, inputs, device)

    return build


def _cell_moved(gradient: bool) -> Callable[[Inputs], int]:
    """Forward reads x and writes y; backward reads x and dy and writes dx. Parameters are few."""
    return lambda inputs: inputs["x"].nbytes * (5 if gradient else 2)


def _cells(name: str) -> Callable[[bool], Inputs]:
    return lambda small: cells.maker(name, *((3, 12) if small else (LANES, STEPS)))(False)


COMPILED = "torch.compile of torch's scan"

SCANS = (
    BAND,
    *(
        Case(
            name=f"cell {name}, {LANES} lanes, {'forward and backward' if gradient else 'forward'}",
            make=_cells(name),
            expected=cells.run_gradients if gradient else cells.run,
            tolerance=cells.gradient_tolerance if gradient else cells.tolerance,
            moved=_cell_moved(gradient),
            ours=_native(gradient),
            peers={COMPILED: Peer(_compiled(gradient))},
            targets=[Target(COMPILED, 20.0)],
        )
        for name in CELLS
        for gradient in (False, True)
    ),
)
