"""Weights as heat maps: small ones as they are, large ones by the entry of largest magnitude of every block.

A complex weight has two, for its real and its imaginary part, so that colors mean signs everywhere.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .model import Weight

_CELLS, _FEW_CELLS = 64, 32  # along each side of a map
_MAPS, _MOST = 16, 48  # with so many cells; and at all


@dataclass(frozen=True)
class Map:
    """One picture of a weight.

    Attributes:
        weight: Which one.
        stands_for: Whether this is the matrix that a structure's weight stands for, and not the weight as it is stored.
        part: Which part of a complex weight; nothing for a real one.
        shape: Of what is shown, as a matrix.
        block: How many entries, down and across, one cell stands for.
        data: For the page's script.
    """

    weight: Weight
    stands_for: bool
    part: str
    shape: tuple[int, int]
    block: tuple[int, int]
    data: dict[str, Any]


def heat_maps(weights: Sequence[Weight]) -> tuple[list[Map], tuple[str, ...]]:
    """The maps of all weights, and what is to be said about those that are not shown or not in full."""
    wanted = [
        (w, values, inside, stands_for, part)
        for w in weights
        for matrix, inside, stands_for in ((w.dense, w.inside, True), (w.values, None, False))
        if matrix is not None
        for part, values in _parts(matrix)
    ]
    cells = _CELLS if len(wanted) <= _MAPS else _FEW_CELLS
    maps = [_map(*item, cells) for item in wanted[:_MOST]]
    notes = []
    if any(m.block != (1, 1) for m in maps):
        notes.append("In a map of a large weight, a cell shows the entry of largest magnitude of its block.")
    if len(wanted) > _MOST:
        notes.append(f"{_MOST} of {len(wanted)} weights are drawn.")
    return maps, tuple(notes)


def _parts(values: Tensor) -> tuple[tuple[str, Tensor], ...]:
    return (("real part", values.real), ("imaginary part", values.imag)) if values.is_complex() else (("", values),)


def _map(weight: Weight, values: Tensor, inside: Tensor | None, stands_for: bool, part: str, cells: int) -> Map:
    from .page import pack

    matrix = values.reshape(1, -1) if values.ndim < 2 else values.reshape(-1, values.shape[-1])
    down, across = (-(-n // cells) if n else 1 for n in matrix.shape)
    if values.ndim < 2:
        across = -(-matrix.shape[1] // (2 * cells))
    shown = _largest(matrix, down, across)
    data: dict[str, Any] = {"rows": shown.shape[0], "columns": shown.shape[1], "values": pack(shown)}
    data |= {"block": [down, across], "vector": values.ndim < 2}
    if inside is not None:
        whole = _largest(inside.reshape(matrix.shape).to(torch.float32), down, across) > 0
        data["inside"] = {"t": "u1", "s": base64.b64encode(whole.cpu().numpy().astype(np.uint8).tobytes()).decode()}
    return Map(weight, stands_for, part, (matrix.shape[0], matrix.shape[1]), (down, across), data)


def _largest(matrix: Tensor, down: int, across: int) -> Tensor:
    """Of every block the entry of largest magnitude, with its sign; NaN where a block has one."""
    if (down, across) == (1, 1):
        return matrix
    rows, columns = -(-matrix.shape[0] // down), -(-matrix.shape[1] // across)
    padded = matrix.new_zeros(rows * down, columns * across)
    padded[: matrix.shape[0], : matrix.shape[1]] = matrix
    blocks = padded.view(rows, down, columns, across).permute(0, 2, 1, 3).flatten(2)
    return blocks.gather(-1, blocks.abs().argmax(-1, keepdim=True)).squeeze(-1)
