"""Layers on top of each other, forward and backward in time.

output of layer k, direction d = scan(cell[k, d], h_0[k, d], input of layer k)
input of layer 0 = x,    input of layer k + 1 = dropout(outputs of layer k, its directions side by side)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import dropout

from ..engine.scan import scan
from ..trees import flatten
from .cells import Cell, Layer
from .lengths import Group, clean, groups_of, held, put, put_states, take

MakeCell = Callable[[Layer, Tensor | None], Cell]


@dataclass(frozen=True)
class Options:
    """How a stack runs.

    Attributes:
        directions: 1, or 2 for forward and backward.
        dropout: The share of a layer's output that the next layer does not see.
        recurrent_dropout: The share of the state that the recurrent matrix does not see.
        checkpoint: That of `scan`.
        all_states: Whether every layer's states are wanted, not only the output of the last one.
    """

    directions: int = 1
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    checkpoint: str | int | None = "auto"
    all_states: bool = False


@dataclass(frozen=True)
class Results:
    """What a stack leaves.

    Attributes:
        output: (T, B, directions * n) of the last layer.
        last: The states at the end, each (layers * directions, B, n).
        states: The states at every step, each (layers * directions, T, B, n); None where they are not wanted.
    """

    output: Tensor
    last: list[Tensor]
    states: list[Tensor] | None


def run(
    make_cell: MakeCell,
    layers: Sequence[Layer],
    x: Tensor,
    first: Sequence[Tensor],
    lengths: Tensor | None,
    options: Options,
) -> Results:
    """Run all layers.

    Args:
        make_cell: The cell of a layer, with a mask for its state or None; its y is h, or all states if they are wanted.
        layers: All weights, layer after layer, the directions of a layer side by side.
        x: (T, B, input).
        first: The states at the beginning, each (layers * directions, B, n).
        lengths: (B,), or None where all have T.
        options: How.
    """
    if lengths is None or len(lengths) == 0:
        return _run(make_cell, layers, x, first, None, options)
    if torch.compiler.is_dynamo_compiling():  # how the batch is cut depends on the numbers: no graph can hold that
        return torch.compiler.disable(_run_groups)(make_cell, layers, x, first, lengths, options)
    return _run_groups(make_cell, layers, x, first, lengths, options)


def _run_groups(
    make_cell: MakeCell,
    layers: Sequence[Layer],
    x: Tensor,
    first: Sequence[Tensor],
    lengths: Tensor,
    options: Options,
) -> Results:
    groups, (steps, batch) = groups_of(lengths), x.shape[:2]
    parts = [clean(part, g) for part, g in zip(take(x, groups), groups, strict=True)]
    found = [
        _run(make_cell, layers, part, [s.index_select(1, g.members.to(s.device)) for s in first], g, options)
        for part, g in zip(parts, groups, strict=True)
    ]
    output = put([r.output for r in found], groups, steps, batch)
    last = [put_states(parts, groups) for parts in zip(*(r.last for r in found), strict=True)]
    states = None
    if options.all_states:
        columns = zip(*(r.states or () for r in found), strict=True)
        states = [put([p.movedim(0, 2) for p in parts], groups, steps, batch).movedim(2, 0) for parts in columns]
    return Results(output, last, states)


def _run(
    make_cell: MakeCell,
    layers: Sequence[Layer],
    x: Tensor,
    first: Sequence[Tensor],
    group: Group | None,
    options: Options,
) -> Results:
    ys: list[list[Tensor]] = []
    carries: list[list[Tensor]] = []
    valid = None if group is None or group.valid is None else group.valid.to(x.device)
    for k, layer in enumerate(layers):
        if k and k % options.directions == 0:
            x = _side_by_side(ys[k - options.directions :])
            x = dropout(x, options.dropout) if options.dropout else x
        carry = [s[k] for s in first]
        cell = make_cell(layer, _mask(carry[0], options.recurrent_dropout))
        last, y = scan(
            cell if valid is None else held(cell),
            carry[0] if len(carry) == 1 else tuple(carry),
            x if valid is None else (x, valid),
            reverse=k % options.directions == 1,
            checkpoint=options.checkpoint,
        )
        ys.append(flatten(y)[0])
        carries.append(flatten(last)[0])
    return Results(
        _side_by_side(ys[-options.directions :]),
        [torch.stack(column) for column in zip(*carries, strict=True)],
        [torch.stack(column) for column in zip(*ys, strict=True)] if options.all_states else None,
    )


def _side_by_side(ys: Sequence[Sequence[Tensor]]) -> Tensor:
    """The h of every direction of a layer."""
    return ys[0][0] if len(ys) == 1 else torch.cat([y[0] for y in ys], -1)


def _mask(h: Tensor, rate: float) -> Tensor | None:
    """Which channels of the state the recurrent matrix sees, scaled so that their mean stays."""
    return dropout(torch.ones_like(h), rate) if rate else None
