"""torchaudio.functional.lfilter without clamping; several sections are a Python loop over the sections."""

from __future__ import annotations

import torch
from torchaudio.functional import lfilter

from ..case import Call, Inputs


def _cascade(b: torch.Tensor, a: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """``batching=False`` applies every filter to the same signal; a second section has one signal per filter."""
    y = lfilter(x, a[:, 0], b[:, 0], clamp=False, batching=False)
    for k in range(1, b.shape[1]):
        y = lfilter(y, a[:, k], b[:, k], clamp=False)
    return y


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
