"""Random orthogonal matrices of every structure, as arrays of numpy: the same for a seed on every backend."""

from __future__ import annotations

import itertools
from typing import Any

import keras
import numpy as np

from ..recurrent.structures import Banded, BlockDiagonal, Diagonal, LowRankPlusDiagonal, Structure

Array = np.ndarray[Any, Any]


def orthogonal(structure: Structure, initializer: Any, n: int, gates: int) -> Array:
    """The weight ``structure.weight_shape(n, gates)`` of matrices (n, n), each ``gain`` times an orthogonal one.

    Args:
        structure: Any but a dense one.
        initializer: A `keras.initializers.Orthogonal`, of which gain and seed are taken.
        n: Rows of a matrix.
        gates: Matrices.
    """
    seed = initializer.seed
    known = seed if isinstance(seed, int) else np.abs(keras.ops.convert_to_numpy(seed.next())).astype("int64")
    rng = np.random.default_rng(known)
    weights = [_of_one(structure, rng, n, initializer.gain) for _ in range(gates)]
    return np.concatenate(weights)


def _of_one(structure: Structure, rng: np.random.Generator, n: int, gain: float) -> Array:
    if isinstance(structure, Diagonal):
        return gain * rng.choice([-1.0, 1.0], n)
    if isinstance(structure, BlockDiagonal):
        size = n // structure.blocks
        return gain * _orthonormal(rng, structure.blocks, size, size)
    if isinstance(structure, LowRankPlusDiagonal):  # a reflection, 1 - 2 Q Q^T
        q = _orthonormal(rng, n, structure.rank).T
        return np.concatenate([np.full((1, n), gain), -2 * gain * q, q])
    assert isinstance(structure, Banded)
    return gain * _banded(structure, rng, n)


def _banded(structure: Banded, rng: np.random.Generator, n: int) -> Array:
    """A product of two block-diagonal orthogonal matrices whose blocks overlap: it has a band, and mixes."""
    lower, upper = structure.widths
    width = min(lower, upper)
    size = width // 2 + 1
    other = max(size, min(width, 1) + 1)  # equal, and half a block apart: they never end at the same row
    weight = np.zeros((lower + upper + 1, n))
    second = [(start, p) for start, p in _blocks(rng, n, other, other // 2) for _ in p]
    for first, q in _blocks(rng, n, size, 0):
        rows = np.arange(first, first + len(q))[:, None]
        for k, column in enumerate(q.T):
            start, p = second[first + k]  # the block that has this row of the second factor
            columns = np.arange(start, start + len(p))
            weight[columns - rows + lower, rows] += np.outer(column, p[first + k - start])
    return weight


def _blocks(rng: np.random.Generator, n: int, size: int, shift: int) -> list[tuple[int, Array]]:
    """Orthogonal blocks and where they begin: at 0, at ``shift``, and every ``size`` rows from there."""
    starts = [*dict.fromkeys((0, *range(shift, n, size), n))]
    return [(a, _orthonormal(rng, b - a, b - a)) for a, b in itertools.pairwise(starts)]


def _orthonormal(rng: np.random.Generator, *shape: int) -> Array:
    """Matrices with orthonormal columns, uniform among all of them."""
    q, r = np.linalg.qr(rng.normal(size=shape))
    signs = np.where(np.diagonal(r, axis1=-2, axis2=-1) < 0, -1.0, 1.0)
    return q * signs[..., None, :]
