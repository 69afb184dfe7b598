"""Whether a program does what its cell does: a few steps of both, values and gradients, before the first use.

What tracing cannot see shows here: a `torch.no_grad` inside the cell, a custom autograd.Function, a random number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .errors import LoweringError
from .trace import StandIns

if TYPE_CHECKING:
    from .prepare import Prepared

STEPS = 3
_CLOSE = {True: 1e-6, False: 1e-3}  # in float64, where a cell may round to float32 within; and in float32
_DIFFERENT = 0.01  # the share of elements that may differ, where a threshold falls on the other side by rounding

Steps = Callable[[Sequence[Tensor], Sequence[Tensor]], tuple[list[Tensor], list[Tensor]]]


def check(
    prepared: Prepared, eager: Steps, captured: Sequence[Tensor], carry: Sequence[Tensor], xs: Sequence[Tensor]
) -> None:
    """Compare a program with its cell, both in float64; in the cell's own dtype if it does not run in another.

    Args:
        prepared: The program.
        eager: Runs the cell itself step by step: from the leaves of carry and xs to those of the last carry and of y.
        captured: The tensors that the cell closes over.
        carry: The initial carry.
        xs: The sequence, time first.

    Raises:
        LoweringError: They differ.
    """
    xs = [x[:STEPS] for x in xs]
    steps = min((len(x) for x in xs), default=STEPS)
    if steps == 0:
        return
    wide = any(t.dtype == torch.float32 for t in (*carry, *xs, *captured))
    try:
        results = _both(prepared, eager, captured, carry, xs, steps, wide)
    except RuntimeError:  # a float32 of the cell's own making meets a float64 where torch wants one dtype
        if not wide:
            raise
        wide = False
        results = _both(prepared, eager, captured, carry, xs, steps, wide)
    _compare(results, wide)


Results = list[tuple[str, Tensor, Tensor]]


def _both(
    prepared: Prepared,
    eager: Steps,
    captured: Sequence[Tensor],
    carry: Sequence[Tensor],
    xs: Sequence[Tensor],
    steps: int,
    wide: bool,
) -> Results:
    """Values and gradients of the program beside those of the cell, from the same copies of all tensors."""
    init, xs = [_leaf(t, wide, True) for t in carry], [_leaf(t, wide, True) for t in xs]
    copies = {id(t): _leaf(t, wide, t.requires_grad) for t in captured}  # one of each, however often it was found
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        with StandIns(copies):
            true = [y for part in eager(init, xs) for y in part]
        mine = [
            y for part in prepared([copies[id(t)] for t in captured], init, xs, steps, False, 0, wide) for y in part
        ]
        results = [("values", *pair) for pair in zip(mine, true, strict=True)]
        wanted = [t for t in (*init, *xs, *copies.values()) if t.requires_grad]
        return results + (_gradients(mine, true, wanted) if wanted else [])


def _gradients(mine: list[Tensor], true: list[Tensor], leaves: list[Tensor]) -> Results:
    generator = torch.Generator("cpu").manual_seed(0)
    weights = [torch.rand(y.shape, generator=generator, dtype=torch.float64, device="cpu").to(y) + 0.5 for y in true]
    found = []
    for results in (mine, true):
        terms = [(w * y).sum() for w, y in zip(weights, results, strict=True) if y.requires_grad]
        found.append(torch.autograd.grad(terms, leaves, allow_unused=True) if terms else [None] * len(leaves))
    zeros = [torch.zeros_like(leaf) for leaf in leaves]
    mine, true = ([z if g is None else g for g, z in zip(gs, zeros, strict=True)] for gs in found)
    return [("gradients", *pair) for pair in zip(mine, true, strict=True)]


def _leaf(tensor: Tensor, wide: bool, wanted: bool) -> Tensor:
    copy = tensor.detach().clone()
    copy = copy.double() if wide and copy.dtype == torch.float32 else copy
    return copy.requires_grad_(wanted and copy.is_floating_point())


def _compare(results: Results, wide: bool) -> None:
    for what, mine, true in results:
        same_kind = mine.is_floating_point() == true.is_floating_point() if wide else mine.dtype == true.dtype
        if mine.shape != true.shape or not same_kind:
            raise _difference(what)
        if not true.numel():
            continue
        close = _CLOSE[wide or true.dtype == torch.float64]
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
