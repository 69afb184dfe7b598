"""Sequences of different lengths in one padded tensor, without work on the padding.

Lanes are taken in the order of their lengths, longest first, in groups of neighbors; a group runs as many steps as its
longest lane has. Within a group, a lane that is over keeps its state, and its y is zero:

    carry[t], y[t] = cell(carry[t-1], x[t])   if t < length,   else   carry[t-1], 0

In reverse the same rule leaves a lane at its first state until its last element comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..engine.scan import scan
from ..trees import flatten
from .cells import Cell

_GROUP, _MOST_GROUPS = 16, 8


@dataclass(frozen=True)
class Lengths:
    """The lengths of lanes that are sorted by length.

    Attributes:
        sorted: On the CPU, longest first.
        order: Which lane of the user's each one is; None: they came sorted.
    """

    sorted: Tensor
    order: Tensor | None

    @classmethod
    def of(cls, lengths: Tensor) -> Lengths:
        """From lengths in any order, (lanes,)."""
        lengths = lengths.detach().cpu().long()
        if bool((lengths[:-1] >= lengths[1:]).all()):
            return cls(lengths, None)
        order = torch.argsort(lengths, descending=True, stable=True)
        return cls(lengths[order], order)

    def sort(self, x: Tensor, dim: int) -> Tensor:
        """A tensor of the user's in the order of lengths."""
        return x if self.order is None else x.index_select(dim, self.order)

    def unsort(self, x: Tensor, dim: int) -> Tensor:
        """The other way round."""
        return x if self.order is None else x.index_select(dim, self.order.argsort())

    def groups(self) -> list[tuple[int, int]]:
        """Where groups of lanes begin and end."""
        lanes = len(self.sorted)
        size = max(_GROUP, -(-lanes // _MOST_GROUPS // _GROUP) * _GROUP)
        return [(a, min(a + size, lanes)) for a in range(0, lanes, size)]


def scan_lengths(
    cell: Cell, init: Any, x: Tensor, lengths: Lengths, *, reverse: bool, checkpoint: str | int | None
) -> tuple[Any, Any]:
    """`feedbackward.scan` over x (T, lanes, ...), whose lane l is over after ``lengths.sorted[l]`` steps."""
    steps, leaves, tree = x.shape[0], *flatten(init)
    carries, outputs, y_tree = [], [], None
    for a, b in lengths.groups():
        longest, shortest = int(lengths.sorted[a]), int(lengths.sorted[b - 1])
        part, here = x[:longest, a:b], tree.unflatten([leaf[a:b] for leaf in leaves])
        if longest == shortest:
            last, y = scan(cell, here, part, reverse=reverse, checkpoint=checkpoint)
        else:
            valid = torch.arange(longest)[:, None] < lengths.sorted[a:b]
            last, y = scan(_held(cell), here, (part, valid.unsqueeze(-1)), reverse=reverse, checkpoint=checkpoint)
        carries.append(flatten(last)[0])
        ys, y_tree = flatten(y)
        outputs.append([pad(leaf, (0, 0, 0, 0, 0, steps - longest)) for leaf in ys])
    assert y_tree is not None
    last = tree.unflatten([torch.cat(column) for column in zip(*carries, strict=True)])
    return last, y_tree.unflatten([torch.cat(column, 1) for column in zip(*outputs, strict=True)])


def _held(cell: Cell) -> Cell:
    """A cell whose x has a second part, which says whether the lane is still going on."""

    def step(carry: Any, x: tuple[Tensor, Tensor]) -> tuple[Any, Any]:
        now, valid = x
        (before, tree), (after, y) = flatten(carry), cell(carry, now)
        ys, y_tree = flatten(y)
        kept = [torch.where(valid, new, old) for new, old in zip(flatten(after)[0], before, strict=True)]
        return tree.unflatten(kept), y_tree.unflatten([torch.where(valid, leaf, 0.0) for leaf in ys])

    return step
