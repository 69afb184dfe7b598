"""How a scan is held against the loop that defines it: the same cell on the same numbers, every result and gradient.

A step rounds what it computes by a few eps of what meets in it. The cells here do not blow errors up by much more than
they blow up their state, so that n steps are away from the truth by a few n eps of the largest value: in the results,
and, the adjoint being such a recurrence as well, in the gradients.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from closeness import SLACK, eps, largest, near
from torch import Tensor
from torch.utils import _pytree as pytree

import feedbackward as fb

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))

LENGTHS = (0, 1, 2, 15, 16, 17, 127, 128, 129, 1000)


class Outcome(NamedTuple):
    """The leaves of the last carry and of y, and the gradients of everything with respect to everything."""

    values: list[Tensor]
    gradients: list[Tensor]
    second: list[Tensor]


def tensors_of(*trees: Any) -> list[Tensor]:
    return [leaf for leaf in pytree.tree_leaves(trees) if isinstance(leaf, Tensor)]


def learnable(*trees: Any) -> list[Tensor]:
    """All tensors of numbers, each a leaf of autograd from now on."""
    return [t.requires_grad_() for t in tensors_of(*trees) if t.dtype.is_floating_point]


def loss_of(values: Sequence[Tensor]) -> Tensor:
    """A sum in which every element has a weight of its own."""
    generator = torch.Generator().manual_seed(0)
    terms = [
        (torch.rand(v.shape, generator=generator, dtype=torch.float32, device="cpu").add(0.5).to(v) * v).sum()
        for v in values
        if v.dtype.is_floating_point
    ]
    return torch.stack([t.double() for t in terms]).sum() if terms else torch.zeros(())


def outcome(
    cell: Callable, init: Any, xs: Any, parameters: Sequence[Tensor] = (), *, second: bool = False, **settings: Any
) -> Outcome:
    inputs = learnable(init, xs, parameters)
    inputs = list({id(t): t for t in inputs}.values())
    values = tensors_of(fb.scan(cell, init, xs, **settings))
    gradients = gradients_of(loss_of(values), inputs, create_graph=second)
    return Outcome(values, gradients, gradients_of(loss_of(gradients), inputs) if second else [])


def gradients_of(loss: Tensor, inputs: Sequence[Tensor], create_graph: bool = False) -> list[Tensor]:
    if not loss.requires_grad:
        return [torch.zeros_like(t) for t in inputs]
    return list(torch.autograd.grad(loss, inputs, create_graph=create_graph, materialize_grads=True))


def bound(dtype: torch.dtype, steps: int, truth: Tensor) -> float:
    return SLACK * eps(dtype) * (steps + 16) * max(largest(truth), 1.0)


def assert_same(
    mine: Outcome, truth: Outcome, dtype: torch.dtype, steps: int, note: str = "", conditioning: float = 1.0
) -> None:
    """Both outcomes agree, as far as ``dtype`` goes; ``conditioning`` is by how much a cell blows up errors."""
    for what, found, expected in zip(Outcome._fields, mine, truth, strict=True):
        assert len(found) == len(expected), f"{len(found)} {what} for {len(expected)} {note}"
        for n, (a, b) in enumerate(zip(found, expected, strict=True)):
            if b.dtype.is_floating_point:
                near(a, b, conditioning * bound(dtype, steps, b), f"{what} {n} {note}")
            else:
                assert torch.equal(a, b), f"{what} {n} {note}"


def steps_of(xs: Any, dim: int = 0, length: int | None = None) -> int:
    leaves = tensors_of(xs)
    return leaves[0].shape[dim] if leaves else (length or 0)


def check(
    cell: Callable, init: Any, xs: Any, parameters: Sequence[Tensor] = (), conditioning: float = 1.0, **settings: Any
) -> Outcome:
    """Compare native loop and plain loop in one dtype; what the native one gave comes back."""
    floats = [t.dtype for t in tensors_of(init, xs) if t.dtype.is_floating_point] or [torch.float64]
    dtype = max(floats, key=eps)
    mine = outcome(cell, init, xs, parameters, **settings)
    plain = {k: v for k, v in settings.items() if k not in ("checkpoint", "check")}
    truth = outcome(cell, init, xs, parameters, **plain, backend="eager")
    steps = steps_of(xs, settings.get("dim", 0), settings.get("length"))
    for a, b in zip(mine.values, truth.values, strict=True):
        assert a.dtype == b.dtype, f"{a.dtype} for {b.dtype}"
    assert_same(mine, truth, dtype, steps, f"{settings}", conditioning)
    return mine


def randn(*shape: int, dtype: torch.dtype = torch.float64, scale: float = 0.5) -> Tensor:
    return scale * torch.randn(shape, dtype=dtype)


def by_hand(cell: Callable, carry: Any, xs: Tensor) -> tuple[Any, Tensor]:
    """The definition, for one tensor of x and of y with time first."""
    ys = []
    for x in xs:
        carry, y = cell(carry, x)
        ys.append(y)
    return carry, torch.stack(ys)


def leaky(a: Any) -> Callable:
    """The cell of tests that need no other."""

    def cell(h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(a * h + x)
        return h, h * x

    return cell
