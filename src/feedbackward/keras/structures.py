"""The structures of recurrent matrices in Keras: what is stored, what it begins as, and one step's products.

A dense matrix is stored as Keras stores it, (n, gates n), with y = h W. Every other structure is stored as it is
everywhere in feedbackward, ``structure.weight_shape(n, gates)``, with y = W h for every gate.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

from ..recurrent.structures import Banded, BlockDiagonal, Dense, Diagonal, LowRankPlusDiagonal, Structure
from .orthogonal import orthogonal

KINDS: dict[str, type[Structure]] = {
    kind.__name__: kind for kind in (Banded, BlockDiagonal, Dense, Diagonal, LowRankPlusDiagonal)
}


def get(name: str, structure: Any, units: int) -> Structure:
    """The structure that an argument is or, as a configuration, describes; dense where it is None.

    Raises:
        TypeError: It is neither.
        ValueError: There is no such matrix with so many units.
    """
    if structure is None:
        return Dense()
    if isinstance(structure, dict) and structure.get("class_name") in KINDS:
        structure = KINDS[structure["class_name"]](**structure["config"])
    if type(structure) not in KINDS.values():
        raise TypeError(f"{name}: structure is {structure!r}, expected one such as fb.Banded(8)")
    structure.check(units)
    return structure


def serialize(structure: Structure) -> dict[str, Any]:
    """What `get` makes the structure from."""
    return {"class_name": type(structure).__name__, "config": dataclasses.asdict(structure)}  # type: ignore[call-overload]


def stored_shape(structure: Structure, n: int, gates: int) -> tuple[int, ...]:
    """The shape of a recurrent kernel."""
    return (n, gates * n) if isinstance(structure, Dense) else structure.weight_shape(n, gates)


def gates_of(structure: Structure, weight: Any, count: int, first: int, last: int) -> Any:
    """The part of a recurrent kernel of ``count`` gates that belongs to gates first .. last - 1."""
    axis = 1 if isinstance(structure, Dense) else 0
    size = weight.shape[axis] // count
    return weight[:, first * size : last * size] if axis else weight[first * size : last * size]


def products(structure: Structure, weight: Any, h: Any, gates: int) -> Any:
    """The products (B, gates n) of h (B, n) with the matrices of all gates.

    In operators of Python: outside of TensorFlow Keras's own matmul and einsum round float64 to float32.
    """
    if isinstance(structure, Dense):
        return h @ weight
    n = h.shape[-1]
    w = ops.reshape(weight, (gates, weight.shape[0] // gates, *weight.shape[1:]))
    if isinstance(structure, Banded):
        lower, upper = structure.widths
        wide = ops.expand_dims(ops.pad(h, ((0, 0), (lower, upper))), 1)
        y = w[:, 0] * wide[:, :, :n]
        for d in range(1, lower + upper + 1):
            y = y + w[:, d] * wide[:, :, d : d + n]
    elif isinstance(structure, BlockDiagonal):
        y = w @ ops.reshape(h, (-1, 1, structure.blocks, n // structure.blocks, 1))
    elif isinstance(structure, LowRankPlusDiagonal):
        r = structure.rank
        inner = w[:, 1 + r :] @ ops.reshape(h, (-1, 1, n, 1))
        y = w[:, 0] * ops.expand_dims(h, 1) + (ops.swapaxes(w[:, 1 : 1 + r], 1, 2) @ inner)[..., 0]
    else:
        y = w * ops.expand_dims(h, 1)
    return ops.reshape(y, (-1, gates * n))


def initial(structure: Structure, initializer: Any, n: int, gates: int, dtype: Any) -> Any:
    """What a recurrent kernel begins as.

    An orthogonal initializer makes every matrix orthogonal, of a dense kernel as Keras does, of any other structure
    among the matrices that have it; any other initializer is called with the shape that is stored. What a band stores
    outside of the matrix is 0.
    """
    shape = stored_shape(structure, n, gates)
    if isinstance(structure, Dense) or not isinstance(initializer, keras.initializers.Orthogonal):
        wide = dtype if dtype == "float64" else "float32"  # no decomposition of Keras's takes less
        weight = ops.cast(initializer(shape, dtype=wide), dtype)
        if isinstance(structure, Banded):
            weight = weight * ops.convert_to_tensor(np.tile(_is_inside(structure, n), (gates, 1)), dtype=dtype)
        return weight
    return ops.convert_to_tensor(orthogonal(structure, initializer, n, gates), dtype=dtype)


def _is_inside(structure: Banded, n: int) -> Any:
    """Whether the matrix has an entry that one gate's diagonals store."""
    lower, upper = structure.widths
    columns = np.arange(n) + np.arange(-lower, upper + 1)[:, None]
    return (columns >= 0) & (columns < n)
