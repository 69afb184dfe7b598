"""Whether a program does what its cell does: a few steps of both, values and gradients, before the first use.

What tracing cannot see shows here: a `torch.no_grad` inside the cell, a custom autograd.Function, a random number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .errors import LoweringError

if TYPE_CHECKING:
    from .prepare import Prepared

STEPS = 3
_DIFFERENT = 0.01  # the share of elements that may differ, where a threshold falls on the other side by rounding

Steps = Callable[[Sequence[Tensor], Sequence[Tensor]], tuple[list[Tensor], list[Tensor]]]


def check(
    prepared: Prepared, eager: Steps, captured: Sequence[Tensor], carry: Sequence[Tensor], xs: Sequence[Tensor]
) -> None:
    """Compare a program with its cell.

    Args:
        prepared: The program.
        eager: Runs the cell itself step by step: from the leaves of carry and xs to those of the last carry and of y.
        captured: The tensors that the cell closes over.
        carry: The initial carry.
        xs: The sequence, time first.

    Raises:
        LoweringError: They differ.
    """
    carry = [_leaf(c) for c in carry]
    xs = [_leaf(x[:STEPS]) for x in xs]
    steps = min((len(x) for x in xs), default=STEPS)
    if steps == 0:
        return
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        true = [y for part in eager(carry, xs) for y in part]
        mine = [y for part in prepared(captured, carry, xs, steps, False, 0) for y in part]
        for y_mine, y_true in zip(mine, true, strict=True):
            _compare("values", y_mine, y_true)
        leaves = [t for t in {id(t): t for t in (*carry, *xs, *captured)}.values() if t.requires_grad]
        if leaves:
            _compare_gradients(mine, true, leaves)


def _compare_gradients(mine: list[Tensor], true: list[Tensor], leaves: list[Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = [torch.rand(y.shape, generator=generator, dtype=torch.float64).to(y.dtype) + 0.5 for y in true]
    found = []
    for results in (mine, true):
        terms = [(w * y).sum() for w, y in zip(weights, results, strict=True) if y.requires_grad]
        found.append(torch.autograd.grad(terms, leaves, allow_unused=True) if terms else [None] * len(leaves))
    for g_mine, g_true, leaf in zip(*found, leaves, strict=True):
        zero = torch.zeros_like(leaf)
        _compare("gradients", zero if g_mine is None else g_mine, zero if g_true is None else g_true)


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().requires_grad_(tensor.dtype.is_floating_point)


def _compare(what: str, mine: Tensor, true: Tensor) -> None:
    if mine.shape != true.shape or mine.dtype != true.dtype:
        raise _difference(what)
    if not true.numel():
        return
    close = 1e-7 if true.dtype == torch.float64 else 1e-3
    mine, true = mine.detach().double(), true.detach().double()
    largest = true[true.isfinite()].abs().max().item() if bool(true.isfinite().any()) else 0.0
    same = torch.isclose(mine, true, rtol=close, atol=close * max(largest, 1e-3), equal_nan=True)
    if (~same).double().mean() > _DIFFERENT:
        raise _difference(what)


def _difference(what: str) -> LoweringError:
    return LoweringError(
        f"scan: the {what} of the program differ from those of the cell over its first steps; a cell may not hide "
        "operations from autograd (torch.no_grad, a custom Function), draw random numbers or keep its own state; "
        'backend="eager" runs it as it is, check=False trusts the program'
    )
