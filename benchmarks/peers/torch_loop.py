"""A loop over time in PyTorch, differentiated by autograd."""

from __future__ import annotations

import torch

from ..case import Call, Inputs


def _cascade(b: torch.Tensor, a: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Transposed direct form II: b and a (filters, sections, 3), x (batch, time)."""
    batch, filters, sections = len(x), len(b), b.shape[1]
    state = [(x.new_zeros(batch, filters),) * 2 for _ in range(sections)]
    taps = [(*b[:, k].unbind(-1), *a[:, k, 1:].unbind(-1)) for k in range(sections)]
    outputs = []
    for sample in x[:, None].unbind(-1):
        signal = sample
        for k, (b0, b1, b2, a1, a2) in enumerate(taps):
            s1, s2 = state[k]
            y = b0 * signal + s1
            state[k] = b1 * signal - a1 * y + s2, b2 * signal - a2 * y
            signal = y
        outputs.append(signal)
    return torch.stack(outputs, -1)


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


def _linear(decay: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    h, outputs = torch.zeros_like(x[:, 0]), []
    for decay_t, x_t in zip(decay.unbind(1), x.unbind(1), strict=True):
        h = torch.addcmul(x_t, decay_t, h)
        outputs.append(h)
    return torch.stack(outputs, 1)


def linear(inputs: Inputs) -> Call:
    """A gated linear recurrence along the middle axis."""
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


def block(inputs: Inputs) -> Call:
    """One block of a stream through one biquad, state in and out."""
    b, a, x, zi = (torch.from_numpy(inputs[name]) for name in ("b", "a", "x", "zi"))
    (b0, b1, b2), (_, a1, a2) = b[0, 0].unbind(), a[0, 0].unbind()

    def call() -> tuple[torch.Tensor, ...]:
        with torch.inference_mode():
            (s1, s2), outputs = zi[0, 0].unbind(), []
            for sample in x[0].unbind():
                y = b0 * sample + s1
                s1, s2 = b1 * sample - a1 * y + s2, b2 * sample - a2 * y
                outputs.append(y)
            return torch.stack(outputs), torch.stack([s1, s2])

    return call
