"""The filters among the cases of `benchmarks.gpu`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

import feedbackward as fb

from .case import Inputs
from .cases import linear
from .cases.bank import gradient_tolerance
from .gpu_work import COPY, Build, Call, Case, Peer, Target, on
from .signals import bank_gradients, bank_output, bank_tolerance, make_bank

Filter = Callable[[Tensor, Tensor, Tensor], Tensor]  # b and a (filters, 3), x (batch, time) -> (batch, filters, time)


def _ours(b: Tensor, a: Tensor, x: Tensor) -> Tensor:
    return fb.lfilter(b, a, x[:, None])


def _torchaudio(b: Tensor, a: Tensor, x: Tensor) -> Tensor:
    from torchaudio.functional import lfilter

    y: Tensor = lfilter(x, a, b, clamp=False, batching=False)
    return y


def _call(function: Filter, gradient: bool) -> Build:
    """y, and where they are asked for the gradients of sum(g y) to b, to a without a0, and to x."""

    def build(inputs: Inputs, device: torch.device) -> Call:
        b, a, x = on(device, inputs["b"][:, 0], inputs["a"][:, 0], inputs["x"], grad=gradient)
        if not gradient:
            return lambda: (function(b, a, x),)
        (g,) = on(device, inputs["g"])

        def call() -> Sequence[Tensor]:
            y = function(b, a, x)
            d_b, d_a, d_x = torch.autograd.grad(y, (b, a, x), g)
            return y, d_b, d_a[..., 1:], d_x

        return call

    return build


def _moved(gradient: bool) -> Callable[[Inputs], int]:
    """Forward reads x and writes y; backward reads x and dy and writes dx. Coefficients are few."""

    def count(inputs: Inputs) -> int:
        x, y = inputs["x"].nbytes, inputs["g"].nbytes
        return x + y + (2 * x + y if gradient else 0)

    return count


def _case(
    name: str, make: Callable[[bool], Inputs], gradient: bool, targets: Sequence[Target], torchaudio: bool = False
) -> Case:
    return Case(
        name=f"{name}, {'forward and backward' if gradient else 'forward'}",
        make=make,
        expected=bank_gradients if gradient else bank_output,
        tolerance=gradient_tolerance if gradient else bank_tolerance,
        moved=_moved(gradient),
        ours=_call(_ours, gradient),
        peers={"torchaudio": Peer(_call(_torchaudio, gradient))} if torchaudio else {},
        targets=targets,
    )


def _bank(small: bool) -> Inputs:
    """x [32, 16000] through 128 biquads."""
    return make_bank(2, 17, 1, 40) if small else make_bank(32, 128, 1, 16000)


def _signal(samples: int) -> Callable[[bool], Inputs]:
    """One signal through one biquad."""
    return lambda small: make_bank(1, 1, 1, 300 if small else samples)


def _recurrence(gradient: bool) -> Build:
    """h[t] = decay[t] h[t-1] + x[t], and the gradients of sum(g h) to decay and x."""

    def build(inputs: Inputs, device: torch.device) -> Call:
        decay, x = on(device, inputs["decay"], inputs["x"], grad=gradient)
        if not gradient:
            return lambda: (fb.linear_recurrence(decay, x, dim=1),)
        (g,) = on(device, inputs["g"])

        def call() -> Sequence[Tensor]:
            h = fb.linear_recurrence(decay, x, dim=1)
            return h, *torch.autograd.grad(h, (decay, x), g)

        return call

    return build


def _recurrence_case(gradient: bool) -> Case:
    return Case(
        name=f"linear recurrence [16, 4096, 256], {'forward and backward' if gradient else 'forward'}",
        make=linear.make,
        expected=linear.run_gradients if gradient else linear.run,
        tolerance=linear.tolerance,
        moved=lambda inputs: inputs["x"].nbytes * (8 if gradient else 3),  # decay, x, h; and again, with dh, ddecay, dx
        ours=_recurrence(gradient),
    )


FILTERS = (
    _case("bank", _bank, False, [Target(COPY, 2.5)], torchaudio=True),
    _case("bank", _bank, True, [Target(COPY, 2.5), Target("torchaudio", 20.0)], torchaudio=True),
    *(
        _case(f"one signal of {samples:,}", _signal(samples), gradient, [Target(COPY, 4.0)])
        for samples in (1_000_000, 100_000_000)
        for gradient in (False, True)
    ),
    _recurrence_case(False),
    _recurrence_case(True),
)
