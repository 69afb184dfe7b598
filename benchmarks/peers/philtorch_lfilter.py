"""philtorch: constant coefficients by ``lti``, time-varying ones by ``lpv`` after repeating them for every sample."""

from __future__ import annotations

import torch
from philtorch import lpv, lti

from ..case import Call, Inputs


def _cascade(b: torch.Tensor, a: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Every signal has its own filter here, so x is repeated for the filters and the filters for the batch."""
    batch, filters = len(x), len(b)
    y = x.repeat_interleave(filters, 0)
    for k in range(b.shape[1]):
        y = lti.lfilter(b[:, k].repeat(batch, 1), a[:, k, 1:].repeat(batch, 1), y)
    return y.reshape(batch, filters, -1)


def cascade(inputs: Inputs) -> Call:
    """A bank of biquad cascades."""
    b, a, x = (torch.from_numpy(inputs[name]) for name in "bax")
    return lambda: (_cascade(b, a, x),)


def cascade_gradient(inputs: Inputs) -> Call:
    """The same with gradients to b, a and x."""
    b, a, x = (torch.from_numpy(inputs[name]).requires_grad_() for name in "bax")
    g = torch.from_numpy(inputs["g"])

    def call() -> tuple[torch.Tensor, ...]:
        y = _cascade(b, a, x)
        d_b, d_a, d_x = torch.autograd.grad(y, (b, a, x), g)
        return y, d_b, d_a[..., 1:], d_x

    return call


def block(inputs: Inputs) -> Call:
    """One block of a stream through one biquad, state in and out."""
    b, a, x, zi = (torch.from_numpy(inputs[name]) for name in ("b", "a", "x", "zi"))
    b, a, x, zi = b[0, 0], a[0, 0, 1:].contiguous(), x[0], zi[0, 0]

    def call() -> tuple[torch.Tensor, ...]:
        with torch.inference_mode():
            return lti.lfilter(b, a, x, zi=zi)

    return call


def _varying(b: torch.Tensor, a: torch.Tensor, x: torch.Tensor, hop: int) -> torch.Tensor:
    each = [frames.repeat_interleave(hop, -2)[:, : x.shape[-1]] for frames in (b, a[..., 1:])]
    return lpv.lfilter(*each, x, form="tdf2")


def varying(inputs: Inputs) -> Call:
    """A biquad whose coefficients hold for a hop."""
    b, a, x = (torch.from_numpy(inputs[name]) for name in "bax")
    return lambda: (_varying(b, a, x, int(inputs["hop"])),)


def varying_gradient(inputs: Inputs) -> Call:
    """The same with gradients to the frames and the signal."""
    b, a, x = (torch.from_numpy(inputs[name]).requires_grad_() for name in "bax")
    g = torch.from_numpy(inputs["g"])

    def call() -> tuple[torch.Tensor, ...]:
        y = _varying(b, a, x, int(inputs["hop"]))
        d_b, d_a, d_x = torch.autograd.grad(y, (b, a, x), g)
        return y, d_b, d_a[..., 1:], d_x

    return call


def linear(inputs: Inputs) -> Call:
    """A gated linear recurrence; lanes come first here, so the middle axis is moved to the end and back."""
    decay, x = (torch.from_numpy(inputs[name]) for name in ("decay", "x"))
    return lambda: (_linear(decay, x),)


def linear_gradient(inputs: Inputs) -> Call:
    """The same with gradients to decay and x."""
    decay, x = (torch.from_numpy(inputs[name]).requires_grad_() for name in ("decay", "x"))
    g = torch.from_numpy(inputs["g"])

    def call() -> tuple[torch.Tensor, ...]:
        h = _linear(decay, x)
        return (h, *torch.autograd.grad(h, (decay, x), g))

    return call


def _linear(decay: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    batch, _, channels = x.shape
    first = [value.transpose(1, 2).flatten(0, 1) for value in (decay, x)]
    h = lpv.linear_recurrence(first[0], x.new_zeros(batch * channels), first[1])
    return h.unflatten(0, (batch, channels)).transpose(1, 2)
