"""Layers of Keras as lists of cells: their weights, read and written."""

from __future__ import annotations

from typing import Any

import keras

from ..recurrent.structures import Dense
from .named import array, check_parts
from .portable import GATES, Portable, for_cell, from_cell

_KINDS = (
    (keras.layers.SimpleRNNCell, "rnn"),
    (keras.layers.GRUCell, "gru"),
    (keras.layers.LSTMCell, "lstm"),
)


def kind_of(cell: Any) -> str | None:
    """What a cell computes; None for any other layer."""
    return next((kind for known, kind in _KINDS if isinstance(cell, known)), None)


def cells_of(side: Any) -> list[list[Any]]:
    """The cells of every layer, one or one for each direction; none where there are other layers."""
    if isinstance(side, (list, tuple)):
        layers = [cells_of(part) for part in side]
        return [cells for part in layers for cells in part] if all(layers) else []
    if isinstance(side, keras.layers.Bidirectional):
        both = [cells_of(layer) for layer in (side.forward_layer, side.backward_layer)]
        return [[*forward, *backward] for forward, backward in zip(*map(_flat, both), strict=True)]
    if isinstance(side, keras.layers.StackedRNNCells):
        return cells_of(side.cells)
    if isinstance(side, keras.layers.RNN):
        return cells_of(side.cell)
    return [[side]] if kind_of(side) else []


def _flat(layers: list[list[Any]]) -> list[list[Any]]:
    return [[cell] for cells in layers for cell in cells]


def read(side: Any) -> list[list[Portable]]:
    """The weights of every layer and direction.

    Raises:
        ValueError: A layer has none yet.
    """
    layers = cells_of(side)
    for cell in (cell for cells in layers for cell in cells):
        if not cell.built:
            raise ValueError(f"copy_weights: source's {cell.name} has no weights yet, expected a layer that was built")
    return [[_read(cell) for cell in cells] for cells in layers]


def _read(cell: Any) -> Portable:
    values = {name: array(getattr(cell, name)) for name in ("kernel", "recurrent_kernel")}
    if cell.bias is not None:
        values["bias"] = array(cell.bias)
    return from_cell(cell, str(kind_of(cell)), values)


def write(side: Any, parts: list[list[Portable]]) -> None:
    """Give every layer and direction its weights.

    Raises:
        ValueError: Something does not fit.
    """
    layers = cells_of(side)
    check_parts(parts, [len(cells) for cells in layers])
    _build(side, parts[0][0].weight_ih.shape[1])
    pairs = [pair for cells, given in zip(layers, parts, strict=True) for pair in zip(cells, given, strict=True)]
    found = [(cell, _values(cell, part)) for cell, part in pairs]  # all of them are checked before one is written
    for cell, values in found:
        for name, value in values.items():
            getattr(cell, name).assign(value)


def _build(side: Any, columns: int) -> None:
    for layer in side if isinstance(side, (list, tuple)) else [side]:
        is_cell = kind_of(layer) is not None or isinstance(layer, keras.layers.StackedRNNCells)
        shape = (None, columns) if is_cell else (None, None, columns)
        if not layer.built:
            layer.build(shape)
        cells = cells_of(layer)[-1]
        columns = cells[0].units * len(cells)


def _values(cell: Any, part: Portable) -> dict[str, Any]:
    kind, structure, name = str(kind_of(cell)), getattr(cell, "structure", Dense()), cell.name
    if part.kind not in (None, kind):
        raise ValueError(f"copy_weights: target's {name} is of the kind {kind}, but source's layer of {part.kind}")
    rows = GATES[kind] * cell.units
    if part.weight_ih.shape[0] != rows:
        raise ValueError(
            f"copy_weights: source has {part.weight_ih.shape[0]} rows in weight_ih, but target's {name} has {rows} = "
            f"{GATES[kind]} * units"
        )
    reset_after = getattr(cell, "reset_after", True)
    if part.reset_after != reset_after:
        raise ValueError(
            f"copy_weights: reset_after is {part.reset_after} in source and {reset_after} in target's {name}, expected "
            "the same; in torch.nn it is True"
        )
    if part.structure not in (None, structure):
        raise ValueError(f"copy_weights: source has {part.structure}, target's {name} {structure}, expected the same")
    if (part.bias_ih is not None) != cell.use_bias:
        side = "target" if cell.use_bias else "source"
        raise ValueError(
            f"copy_weights: only {side}'s {name if side == 'target' else 'layer'} has a bias, expected both"
        )
    wanted = {n: getattr(cell, n) for n in ("kernel", "recurrent_kernel", "bias")}
    stored = structure.weight_shape(cell.units, GATES[kind])
    if part.weight_hh.shape != stored:
        raise ValueError(
            f"copy_weights: source's weight_hh has shape {part.weight_hh.shape}, expected {stored} for {structure} of "
            f"target's {name}"
        )
    values = for_cell(part, kind, structure, kind == "gru" and reset_after)
    for n, value in values.items():
        if value.shape != tuple(wanted[n].shape):
            raise ValueError(
                f"copy_weights: target's {name} has a {n} of shape {tuple(wanted[n].shape)}, but source's makes "
                f"{value.shape}"
            )
    return values
