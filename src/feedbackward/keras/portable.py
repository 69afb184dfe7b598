"""The weights of one recurrent layer in one direction, as no framework's: arrays, with torch.nn's names and gates.

    torch   weight_ih (G n, input)   weight_hh, stored by its structure   bias_ih, bias_hh (G n,)   gates r z n, i f g o
    Keras   kernel (input, G n)      a dense one transposed               bias (G n,) or (2, G n)   gates z r n, i f g o

Keras has one bias where torch.nn has two that are only ever added; a GRU with its reset after the product has two in
both. Into Keras the two are added up; into torch.nn the second becomes 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..recurrent.structures import Dense, Structure

Array = np.ndarray[Any, Any]

GATES = {"rnn": 1, "gru": 3, "lstm": 4}


@dataclass
class Portable:
    """The weights of one layer in one direction.

    Attributes:
        kind: ``"rnn"``, ``"gru"`` or ``"lstm"``; None where nothing says so.
        structure: Of the recurrent matrices; None where nothing says so.
        weight_ih: (G n, input).
        weight_hh: ``structure.weight_shape(n, G)``.
        bias_ih: (G n,), or None.
        bias_hh: (G n,), or None where there is none, or one bias alone.
        reset_after: That of a GRU.
    """

    kind: str | None
    structure: Structure | None
    weight_ih: Array
    weight_hh: Array
    bias_ih: Array | None
    bias_hh: Array | None
    reset_after: bool = True


def gates_swapped(array: Array, kind: str | None) -> Array:
    """Between torch.nn's order of gates and Keras's, along the first axis: a GRU's r and z change places."""
    if kind != "gru":
        return array
    first, second, third = np.split(array, 3)
    return np.concatenate([second, first, third])


def from_cell(cell: Any, kind: str, values: dict[str, Array]) -> Portable:
    """From a cell of Keras and its kernel, recurrent_kernel and bias."""
    structure = getattr(cell, "structure", Dense())
    recurrent = values["recurrent_kernel"]
    bias = values.get("bias")
    of_x, of_h = (bias[0], bias[1]) if bias is not None and bias.ndim == 2 else (bias, None)
    return Portable(
        kind,
        structure,
        gates_swapped(values["kernel"].T, kind),
        gates_swapped(recurrent.T if isinstance(structure, Dense) else recurrent, kind),
        None if of_x is None else gates_swapped(of_x, kind),
        None if of_h is None else gates_swapped(of_h, kind),
        getattr(cell, "reset_after", True),
    )


def for_cell(part: Portable, kind: str, structure: Structure, two_biases: bool) -> dict[str, Array]:
    """The other way."""
    recurrent = gates_swapped(part.weight_hh, kind)
    values = {
        "kernel": gates_swapped(part.weight_ih, kind).T,
        "recurrent_kernel": recurrent.T if isinstance(structure, Dense) else recurrent,
    }
    if part.bias_ih is None:
        return values
    of_x, of_h = part.bias_ih, np.zeros_like(part.bias_ih) if part.bias_hh is None else part.bias_hh
    both = [gates_swapped(b, kind) for b in (of_x, of_h)]
    return {**values, "bias": np.stack(both) if two_biases else both[0] + both[1]}
