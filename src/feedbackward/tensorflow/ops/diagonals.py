"""A banded matrix by its diagonals: W[i, i + d - lower] = weight[d, i], d = 0 .. lower + upper."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .library import operators
from .recurrence import set_shape


def transposed(weight: Any, lower: int, upper: int) -> Any:
    """The diagonals of the transposed matrix, which has ``upper`` below the main one and ``lower`` above.

    w'[d, i] = w[lower + upper - d, i + d - upper], and 0 where that is outside.
    """
    n = tf.shape(weight)[1]
    padded = tf.pad(tf.reverse(weight, [0]), [[0, 0], [upper, lower]])
    result = tf.stack([padded[d, d : d + n] for d in range(lower + upper + 1)])
    set_shape(result, weight.shape)
    return result


def outer(d_y: Any, x: Any, lower: int, upper: int) -> Any:
    """The gradient of the diagonals: sums of d_y[..., i] x[..., i + d - lower] over all leading axes."""
    n = tf.shape(d_y)[-1]
    flat = [tf.reshape(t, [-1, n]) for t in (d_y, x)]
    result = operators.feedbackward_band_outer(*flat, lower=lower, upper=upper)
    set_shape(result, tf.TensorShape([lower + upper + 1, d_y.shape[-1]]))
    return result


def product_by_index(x: Any, weight: Any, lower: int, upper: int) -> Any:
    """One diagonal after the other, for dtypes that the machine does not know."""
    n = tf.shape(x)[-1]
    padded = tf.pad(x, [[0, 0]] * (x.shape.rank - 1) + [[lower, upper]])
    result = tf.add_n([weight[d] * padded[..., d : d + n] for d in range(lower + upper + 1)])
    set_shape(result, x.shape)
    return result
