"""Matrices by their diagonals, in plain functions of JAX: W[i, i + d - lower] = weight[d, i]."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp


def transposed(weight: Any, lower: int, upper: int) -> Any:
    """The diagonals of the transposed matrix, which has ``upper`` below the main one and ``lower`` above.

    w'[d, i] = w[lower + upper - d, i + d - upper], and 0 where that is outside.
    """
    n = weight.shape[1]
    padded = jnp.pad(weight[::-1], ((0, 0), (upper, lower)))
    return jnp.stack([padded[d, d : d + n] for d in range(weight.shape[0])])


def product(x: Any, weight: Any, lower: int, upper: int) -> Any:
    """The product with vectors, diagonal by diagonal."""
    n = x.shape[-1]
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(lower, upper)])
    terms = [padded[..., d : d + n] * weight[d] for d in range(weight.shape[0])]
    return sum(terms[1:], start=terms[0])
