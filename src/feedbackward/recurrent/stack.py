"""Layers on top of each other, forward and backward in time.

output of layer k, direction d = scan(cell[k, d], h_0[k, d], input of layer k)
input of layer 0 = x,    input of layer k + 1 = dropout(outputs of layer k, its directions side by side)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import dropout

from ..engine.scan import scan
from ..trees import flatten
from .cells import Cell, Layer
from .lengths import Lengths, scan_lengths

MakeCell = Callable[[Layer, Tensor | None], Cell]


@dataclass(frozen=True)
class Options:
    """How a stack runs.

    Attributes:
        directions: 1, or 2 for forward and backward.
        dropout: The share of a layer's output that the next layer does not see.
        recurrent_dropout: The share of the state that the recurrent matrix does not see.
        checkpoint: That of `scan`.
    """

    directions: int = 1
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    checkpoint: str | int | None = "auto"


def run(
    make_cell: MakeCell,
    layers: Sequence[Layer],
    x: Tensor,
    states: Sequence[Tensor],
    lengths: Lengths | None,
    options: Options,
) -> tuple[list[Any], list[list[Tensor]]]:
    """Run all layers.

    Args:
        make_cell: The cell of a layer, with a mask for its state or None.
        layers: All weights, layer after layer, the directions of a layer side by side.
        x: (T, B, input), lanes sorted if there are lengths.
        states: What the first carry is made of, each (layers * directions, B, n).
        lengths: Of the lanes, or None where all have T.
        options: How.

    Returns:
        For every element of ``layers``, its y (T, B, ...) and the leaves of its last carry.
    """
    outputs: list[Any] = []
    carries: list[list[Tensor]] = []
    for k, layer in enumerate(layers):
        if k and k % options.directions == 0:
            below = [flatten(y)[0][0] for y in outputs[k - options.directions : k]]
            x = torch.cat(below, -1) if len(below) > 1 else below[0]
            x = dropout(x, options.dropout) if options.dropout else x
        carry = [s[k] for s in states]
        cell = make_cell(layer, _mask(carry[0], options.recurrent_dropout))
        init: Any = carry[0] if len(carry) == 1 else tuple(carry)
        reverse = k % options.directions == 1
        if lengths is None:
            last, y = scan(cell, init, x, reverse=reverse, checkpoint=options.checkpoint)
        else:
            last, y = scan_lengths(cell, init, x, lengths, reverse=reverse, checkpoint=options.checkpoint)
        outputs.append(y)
        carries.append(flatten(last)[0])
    return outputs, carries


def _mask(h: Tensor, rate: float) -> Tensor | None:
    """Which channels of the state the recurrent matrix sees, scaled so that their mean stays."""
    return dropout(torch.ones_like(h), rate) if rate else None
