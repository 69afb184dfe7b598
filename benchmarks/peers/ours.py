"""This library."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..case import Call, Inputs


def _cascade(inputs: Inputs, compute_dtype: torch.dtype | None = None) -> tuple[Callable[..., torch.Tensor], ...]:
    """One biquad is a call of ``lfilter``, several one of ``sosfilt``, without axes that a user would not have."""
    import feedbackward as fb

    filters, sections = inputs["b"].shape[:2]
    single = filters == 1 and len(inputs["x"]) == 1

    def run(b: torch.Tensor, a: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        if sections == 1:
            return fb.lfilter(b, a, x, compute_dtype=compute_dtype)
        return fb.sosfilt(torch.cat([b, a], -1), x, compute_dtype=compute_dtype)

    def natural(name: str) -> torch.Tensor:
        value = torch.from_numpy(inputs[name])
        if name == "g":
            return value[0, 0] if single else value
        if name == "x":
            return value[0] if single else value[:, None]
        value = value[0] if single else value
        return value.squeeze(-2) if sections == 1 else value

    return run, natural


def cascade(inputs: Inputs, compute_dtype: torch.dtype | None = None) -> Call:
    """A bank of biquad cascades."""
    run, natural = _cascade(inputs, compute_dtype)
    b, a, x = (natural(name) for name in "bax")
    return lambda: (run(b, a, x),)


def cascade_gradient(inputs: Inputs, compute_dtype: torch.dtype | None = None) -> Call:
    """A bank of biquad cascades, and its gradients to b, a and x."""
    run, natural = _cascade(inputs, compute_dtype)
    b, a, x = (natural(name).requires_grad_() for name in "bax")
    g = natural("g")

    def call() -> tuple[torch.Tensor, ...]:
        y = run(b, a, x)
        d_b, d_a, d_x = torch.autograd.grad(y, (b, a, x), g)
        return y, d_b, d_a[..., 1:], d_x

    return call


def cascade_double(inputs: Inputs) -> Call:
    """float32 signals, everything inside in float64."""
    return cascade(inputs, torch.float64)


def cascade_double_gradient(inputs: Inputs) -> Call:
    """The same with gradients."""
    return cascade_gradient(inputs, torch.float64)


def block(inputs: Inputs) -> Call:
    """One block of a stream through one biquad, state in and out."""
    import feedbackward as fb

    b, a, x, zi = (torch.from_numpy(inputs[name]) for name in ("b", "a", "x", "zi"))
    b, a, x, zi = b[0, 0], a[0, 0], x[0], zi[0, 0]

    def call() -> tuple[torch.Tensor, ...]:
        with torch.inference_mode():
            return fb.lfilter(b, a, x, zi=zi)

    return call


def block_sections(inputs: Inputs) -> Call:
    """One block of a stream through a cascade, state in and out."""
    import feedbackward as fb

    b, a, x, zi = (torch.from_numpy(inputs[name]) for name in ("b", "a", "x", "zi"))
    sos, x, zi = torch.cat([b[0], a[0]], -1), x[0], zi[0]

    def call() -> tuple[torch.Tensor, ...]:
        with torch.inference_mode():
            return fb.sosfilt(sos, x, zi=zi)

    return call


def varying(inputs: Inputs) -> Call:
    """A biquad whose coefficients hold for a hop."""
    import feedbackward as fb

    b, a, x = (torch.from_numpy(inputs[name]) for name in "bax")
    hop = int(inputs["hop"])
    return lambda: (fb.lfilter(b, a, x, hop=hop),)


def varying_gradient(inputs: Inputs) -> Call:
    """The same with gradients to the frames and the signal."""
    import feedbackward as fb

    b, a, x = (torch.from_numpy(inputs[name]).requires_grad_() for name in "bax")
    g, hop = torch.from_numpy(inputs["g"]), int(inputs["hop"])

    def call() -> tuple[torch.Tensor, ...]:
        y = fb.lfilter(b, a, x, hop=hop)
        d_b, d_a, d_x = torch.autograd.grad(y, (b, a, x), g)
        return y, d_b, d_a[..., 1:], d_x

    return call


def varying_expanded_gradient(inputs: Inputs) -> Call:
    """The coefficients repeated for every sample, then ``hop=1``; autograd folds the gradients back to frames."""
    import feedbackward as fb

    b, a, x = (torch.from_numpy(inputs[name]).requires_grad_() for name in "bax")
    g, hop, time = torch.from_numpy(inputs["g"]), int(inputs["hop"]), inputs["x"].shape[-1]

    def call() -> tuple[torch.Tensor, ...]:
        each_b, each_a = (frames.repeat_interleave(hop, -2)[:, :time] for frames in (b, a))
        y = fb.lfilter(each_b, each_a, x, hop=1)
        d_b, d_a, d_x = torch.autograd.grad(y, (b, a, x), g)
        return y, d_b, d_a[..., 1:], d_x

    return call


def varying_expanded(inputs: Inputs) -> Call:
    """The coefficients repeated for every sample, then ``hop=1``."""
    import feedbackward as fb

    b, a, x = (torch.from_numpy(inputs[name]) for name in "bax")
    hop, time = int(inputs["hop"]), inputs["x"].shape[-1]

    def call() -> tuple[torch.Tensor, ...]:
        each_b, each_a = (frames.repeat_interleave(hop, -2)[:, :time] for frames in (b, a))
        return (fb.lfilter(each_b, each_a, x, hop=1),)

    return call


def linear(inputs: Inputs) -> Call:
    """A gated linear recurrence along the middle axis."""
    import feedbackward as fb

    decay, x = (torch.from_numpy(inputs[name]) for name in ("decay", "x"))
    return lambda: (fb.linear_recurrence(decay, x, dim=1),)


def linear_gradient(inputs: Inputs) -> Call:
    """The same with gradients to decay and x."""
    import feedbackward as fb

    decay, x = (torch.from_numpy(inputs[name]).requires_grad_() for name in ("decay", "x"))
    g = torch.from_numpy(inputs["g"])

    def call() -> tuple[torch.Tensor, ...]:
        h = fb.linear_recurrence(decay, x, dim=1)
        return (h, *torch.autograd.grad(h, (decay, x), g))

    return call
