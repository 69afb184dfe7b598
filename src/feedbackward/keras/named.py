"""Weights under torch.nn's names: of a module, or in a mapping; read and written, with torch only where it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from ..recurrent.structures import Dense, Structure
from .portable import Array, Portable

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
_KINDS = {"RNN": "rnn", "BandRNN": "rnn", "GRU": "gru", "LSTM": "lstm"}


def array(value: Any) -> Array:
    """The numbers of a variable, a tensor or an array."""
    if hasattr(value, "assign"):  # of Keras, whose class has several names
        return np.array(keras.ops.convert_to_numpy(value))
    if hasattr(value, "detach"):
        wide = value.detach().cpu()
        return np.array((wide if wide.element_size() > 2 else wide.float()).numpy())
    return np.array(value)


def assign(target: Any, value: Array) -> None:
    """Put numbers in the place of those of a variable, a tensor or an array."""
    if hasattr(target, "assign"):
        target.assign(value)
    elif hasattr(target, "detach"):
        target.detach().copy_(target.new_tensor(value))
    else:
        target[...] = value


def tensors(side: Any) -> dict[str, Any]:
    """Parameters of a module by their names, or the entries of a mapping.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(side, Mapping):
        return dict(side)
    if hasattr(side, "named_parameters"):
        return dict(side.named_parameters())
    raise TypeError(
        f"copy_weights: got a {type(side).__name__}, expected a layer of Keras or a list of them, a module of torch, "
        "or a mapping from names to arrays"
    )


def check_parts(parts: list[list[Portable]], directions: list[int]) -> None:
    """Raise a ValueError unless layers and directions are as many in source as in target."""
    given = [len(part) for part in parts]
    if given != directions:
        raise ValueError(f"copy_weights: source has {_counted(given)}, target {_counted(directions)}, expected as many")


def _counted(directions: list[int]) -> str:
    layers = f"{len(directions)} layer{'s' * (len(directions) != 1)}"
    return f"{layers} in {'one direction' if set(directions) == {1} else 'both directions'}"


def suffixes(names: Any) -> list[list[str]]:
    """Those of the names of every layer and direction; of a cell an empty one.

    Raises:
        ValueError: There are none, or others beside them.
    """
    if "weight_ih" in names:
        return [[""]]
    layers: list[list[str]] = []
    while f"weight_ih_l{len(layers)}" in names:
        one = f"_l{len(layers)}"
        layers.append([one, f"{one}_reverse"] if f"weight_ih{one}_reverse" in names else [one])
    known = {name + suffix for layer in layers for suffix in layer for name in _NAMES}
    if not layers or set(names) - known:
        others = ", ".join(sorted(set(names) - known)) or "nothing"
        raise ValueError(
            f"copy_weights: the weights have the names {others}, expected weight_ih_l0, weight_hh_l0 and so on alone: "
            "layers of Keras have no projection and no layer normalization"
        )
    return layers


def _nature(side: Any) -> tuple[str | None, Structure | None]:
    """The kind and the structure of a module; of a mapping nobody knows."""
    if isinstance(side, Mapping):
        return None, None
    kind = _KINDS.get(type(side).__name__.removesuffix("Cell"))
    return kind, getattr(side, "structure", Dense())


def read(side: Any) -> list[list[Portable]]:
    """The weights of every layer and direction."""
    found = tensors(side)
    kind, structure = _nature(side)

    def part(suffix: str) -> Portable:
        values = [array(found[name + suffix]) if name + suffix in found else None for name in _NAMES]
        weight_ih, weight_hh, of_x, of_h = values
        if weight_ih is None or weight_hh is None:
            raise ValueError(f"copy_weights: there is no weight_hh{suffix} beside weight_ih{suffix}, expected both")
        return Portable(kind, structure, weight_ih, weight_hh, of_x, of_h)

    return [[part(suffix) for suffix in layer] for layer in suffixes(found)]


def write(side: Any, parts: list[list[Portable]]) -> None:
    """Give every layer and direction its weights; an empty mapping gets the names too.

    Raises:
        ValueError: Something does not fit.
    """
    found = tensors(side)
    kind, structure = _nature(side)
    if not found and isinstance(side, Mapping):
        both = [["", "_reverse"][: len(part)] for part in parts]
        named = [[f"_l{k}{direction}" for direction in layer] for k, layer in enumerate(both)]
    else:
        named = suffixes(found)
    check_parts(parts, [len(layer) for layer in named])
    values: dict[str, Array] = {}
    for layer, given in zip(named, parts, strict=True):
        for suffix, part in zip(layer, given, strict=True):
            if kind is not None and part.kind != kind:
                raise ValueError(
                    f"copy_weights: source is of the kind {part.kind}, but target is a {type(side).__name__}"
                )
            if structure not in (None, part.structure):
                raise ValueError(f"copy_weights: source has {part.structure}, target {structure}, expected the same")
            if not part.reset_after:
                raise ValueError("copy_weights: reset_after is False in source, but in torch.nn it is True")
            of_x, of_h = part.bias_ih, part.bias_hh
            values |= {"weight_ih" + suffix: part.weight_ih, "weight_hh" + suffix: part.weight_hh}
            if of_x is not None:
                values |= {"bias_ih" + suffix: of_x, "bias_hh" + suffix: np.zeros_like(of_x) if of_h is None else of_h}
    if not found and isinstance(side, Mapping):
        side.update(values)  # type: ignore[attr-defined]
        return
    shapes = [{name: tuple(w.shape) for name, w in weights.items()} for weights in (values, found)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"copy_weights: source makes the weights {shapes[0]}, but target has {shapes[1]}")
    for name, value in values.items():
        assign(found[name], value)
