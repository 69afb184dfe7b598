"""A call on the device against the plain loop: values, and the gradient of a random functional of all outputs."""

from __future__ import annotations

from typing import Any

import cases
import torch

import feedbackward as fb
from feedbackward import reference

# Filters here are well conditioned and short: an error stays within so many units of rounding of the largest value.
ROUNDING = 250


def compare(device: torch.device, call: Any, inputs: dict[str, torch.Tensor], note: str = "") -> None:
    """``call(library, *inputs)``: a tensor or a tuple of them, by `feedbackward` and by `reference`."""
    mine = [t.detach().to(device).requires_grad_() for t in inputs.values()]
    theirs = [t.detach().cpu().to(cases.WIDE.get(t.dtype, t.dtype)).requires_grad_() for t in inputs.values()]
    outputs, truths = _tuple(call(fb, *mine)), _tuple(call(reference, *theirs))
    for i, (output, truth) in enumerate(zip(outputs, truths, strict=True)):
        assert output.shape == truth.shape
        near(output, truth, f"output {i} {note}")
    if not truths[0].requires_grad:
        return
    weights = [torch.randn_like(truth) for truth in truths]
    given = [w.to(device, y.dtype) for w, y in zip(weights, outputs, strict=True)]
    gradients = torch.autograd.grad(outputs, mine, given)
    expected = torch.autograd.grad(truths, theirs, weights, allow_unused=True, materialize_grads=True)
    for name, gradient, truth in zip(inputs, gradients, expected, strict=True):
        near(gradient, truth, f"gradient of {name} {note}")


def near(output: torch.Tensor, truth: torch.Tensor, note: str) -> None:
    scale = truth.abs().max().item() if truth.numel() else 1.0
    bound = ROUNDING * torch.finfo(output.dtype).eps * max(scale, 1e-30)
    torch.testing.assert_close(
        output.detach().cpu().to(truth.dtype),
        truth.detach().cpu(),
        rtol=0,
        atol=bound,
        msg=lambda text: f"{note}: {text}",
    )


def _tuple(outputs: Any) -> tuple[torch.Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)
