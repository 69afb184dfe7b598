"""The filters among the cases of `benchmarks.gpu`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

import feedbackward as fb
from feedbackward import reference

from .gpu_work import Call, Case, Work, outputs_and_gradients
from .signals import bandpass

TOLERANCE = 1e-4  # of the largest value: sums of millions of float32 numbers, filtered


def _filters(count: int) -> tuple[Tensor, Tensor]:
    """Band-pass biquads between 200 Hz and 7 kHz at 16 kHz."""
    import numpy as np

    b, a = bandpass(np.geomspace(200.0, 7000.0, count), 2.0, 16e3)
    return torch.from_numpy(b).float(), torch.from_numpy(a).float()


def _run(function: Callable[..., Tensor], inputs: Sequence[Tensor], g: Tensor | None) -> Sequence[Tensor]:
    """The outputs, and with g also the gradients of all inputs."""
    if g is None:
        with torch.no_grad():
            return (function(*inputs),)
    return outputs_and_gradients(function(*inputs), inputs, g)


def _work(name: str, inputs: Sequence[Tensor], device: torch.device, gradient: bool, small: bool) -> Work:
    """Forward reads the inputs and writes y; backward reads the inputs and dy, and writes the gradients of the inputs.

    The truth is the same function of the CPU, where that is not what is being tested: then it is the plain loop.
    """
    shape = torch.broadcast_shapes(*(t.shape[:-1] for t in inputs)) + inputs[-1].shape[-1:]
    g = torch.randn(shape) if gradient else None
    there = [t.to(device).requires_grad_(gradient) for t in inputs]
    g_there = None if g is None else g.to(device)
    here = [t.double().requires_grad_(gradient) for t in inputs]
    size = sum(t.numel() for t in inputs) + shape.numel()
    moved = 4 * (size + (size + sum(t.numel() for t in inputs) if gradient else 0))
    return Work(
        call=lambda: _run(getattr(fb, name), there, g_there),
        truth=lambda: _run(getattr(reference if small else fb, name), here, None if g is None else g.double()),
        tolerance=TOLERANCE,
        bytes=moved,
    )


def _bank(small: bool) -> tuple[Tensor, Tensor, Tensor]:
    b, a = _filters(17 if small else 128)
    return b, a, torch.randn(2 if small else 32, 1, 20 if small else 16000)


def bank(gradient: bool) -> Callable[[torch.device, bool], Work]:
    """x [32, 16000] through 128 biquads."""
    return lambda device, small: _work("lfilter", _bank(small), device, gradient, small)


def signal(steps: int, gradient: bool) -> Callable[[torch.device, bool], Work]:
    """One signal through one biquad."""

    def make(device: torch.device, small: bool) -> Work:
        b, a = _filters(3)
        return _work("lfilter", (b[1], a[1], torch.randn(100 if small else steps)), device, gradient, small)

    return make


def recurrence(gradient: bool) -> Callable[[torch.device, bool], Work]:
    """h[t] = d[t] h[t-1] + x[t], 16 x 512 lanes of 4096 steps: a diagonal state-space model."""

    def make(device: torch.device, small: bool) -> Work:
        shape = (2, 3, 20) if small else (16, 512, 4096)
        inputs = (torch.rand(shape), torch.randn(shape))
        return _work("linear_recurrence", inputs, device, gradient, small)

    return make


def torchaudio_bank(gradient: bool) -> Callable[[torch.device, bool], Call]:
    """torchaudio.functional.lfilter, which applies all filters to every signal."""

    def build(device: torch.device, small: bool) -> Call:
        from torchaudio.functional import lfilter

        b, a, x = (t.to(device).requires_grad_(gradient) for t in _bank(small))
        g = torch.randn(*x.shape[:1], *b.shape[:1], x.shape[-1], device=device) if gradient else None

        def function(b: Tensor, a: Tensor, x: Tensor) -> Tensor:
            return lfilter(x[:, 0], a, b, clamp=False, batching=False)

        return lambda: _run(function, (b, a, x), g)

    return build


FILTERS = (
    Case("bank, forward", bank(False), 2.5, [("torchaudio", torchaudio_bank(False), 1.0)]),
    Case("bank, forward and backward", bank(True), 2.5, [("torchaudio", torchaudio_bank(True), 20.0)]),
    Case("one signal of 1,000,000, forward", signal(1_000_000, False), 4.0),
    Case("one signal of 1,000,000, both", signal(1_000_000, True)),
    Case("one signal of 100,000,000, forward", signal(100_000_000, False), 4.0),
    Case("one signal of 100,000,000, both", signal(100_000_000, True)),
    Case("linear recurrence, forward", recurrence(False)),
    Case("linear recurrence, forward and backward", recurrence(True)),
)
