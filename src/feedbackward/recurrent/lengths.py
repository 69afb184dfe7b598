"""Sequences of different lengths in one padded tensor, without work on the padding.

Sequences are taken in the order of their lengths, longest first, in groups of neighbors; a group is a batch of its own,
as long as its longest sequence. Within a group, a sequence that is over keeps its state, and its y is zero:

    carry[t], y[t] = cell(carry[t-1], x[t])   if t < length,   else   carry[t-1], 0

In reverse the same rule leaves a sequence at its first state until its last element comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..trees import flatten
from .cells import Cell

_SIZE, _MOST = 16, 8


@dataclass(frozen=True)
class Group:
    """Sequences of similar lengths.

    Attributes:
        members: Which of the batch they are, longest first, on the CPU.
        lengths: How long each is, on the CPU.
    """

    members: Tensor
    lengths: Tensor

    @property
    def steps(self) -> int:
        """The length of the longest."""
        return int(self.lengths[0])

    @property
    def valid(self) -> Tensor | None:
        """(steps, sequences, 1), on the CPU: which elements there are; None where all are."""
        if int(self.lengths[-1]) == self.steps:
            return None
        return (self._times < self.lengths).unsqueeze(-1)

    def places(self, batch: int) -> Tensor:
        """Where elements (steps * sequences,) lie among (T * batch,), on the CPU."""
        return (self._times * batch + self.members).flatten()

    @property
    def _times(self) -> Tensor:
        return torch.arange(self.steps, device="cpu").unsqueeze(1)


def groups_of(lengths: Tensor) -> list[Group]:
    """The groups of a batch, from the lengths (batch,) of its sequences."""
    lengths = lengths.detach().cpu().long()
    order = torch.argsort(lengths, descending=True, stable=True)
    size = max(_SIZE, -(-len(lengths) // (_MOST * _SIZE)) * _SIZE)
    return [Group(part, lengths[part]) for part in order.split(size)]


def take(x: Tensor, groups: Sequence[Group]) -> list[Tensor]:
    """Every group's part (steps, sequences, ...) of x (T, batch, ...)."""
    places = torch.cat([g.places(x.shape[1]) for g in groups]).to(x.device)
    rows = x.flatten(0, 1).index_select(0, places).split([g.steps * len(g.members) for g in groups])
    return [part.unflatten(0, (g.steps, len(g.members))) for part, g in zip(rows, groups, strict=True)]


def clean(part: Tensor, group: Group) -> Tensor:
    """A group's part with zeros for padding: NaN in it would reach the gradients of weights, as 0 times NaN."""
    return part if group.valid is None else torch.where(group.valid.to(part.device), part, 0.0)


def put(parts: Sequence[Tensor], groups: Sequence[Group], steps: int, batch: int) -> Tensor:
    """Every group's part in its place in (steps, batch, ...), with zeros elsewhere."""
    places = torch.cat([g.places(batch) for g in groups]).to(parts[0].device)
    rows = torch.cat([part.flatten(0, 1) for part in parts])
    whole = rows.new_zeros(steps * batch, *rows.shape[1:])
    return whole.index_copy_(0, places, rows).unflatten(0, (steps, batch))


def put_states(parts: Sequence[Tensor], groups: Sequence[Group]) -> Tensor:
    """Every group's states (layers, sequences, n) in their places in (layers, batch, n)."""
    order = torch.cat([g.members for g in groups])
    return torch.cat(list(parts), 1).index_select(1, order.argsort().to(parts[0].device))


def held(cell: Cell) -> Cell:
    """A cell whose x has a second part, which says whether the sequence is still going on."""

    def step(carry: Any, x: tuple[Tensor, Tensor]) -> tuple[Any, Any]:
        now, valid = x
        (before, tree), (after, y) = flatten(carry), cell(carry, now)
        ys, y_tree = flatten(y)
        kept = [torch.where(valid, new, old) for new, old in zip(flatten(after)[0], before, strict=True)]
        return tree.unflatten(kept), y_tree.unflatten([torch.where(valid, leaf, 0.0) for leaf in ys])

    return step
