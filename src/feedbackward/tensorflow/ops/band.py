"""Products with a banded matrix, and the gradient of the gradient of its diagonals.

With <v, outer(d, x)> = <d, V x>, V being the matrix of the diagonals v, the gradient of that with respect to d is V x,
and with respect to x it is V^T d.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ...engine.steps import band_product
from .diagonals import transposed
from .recurrence import set_shape
from .scan import run


def product(x: Any, weight: Any, lower: int, upper: int) -> Any:
    """y[..., i] = sum_d weight[d, i] x[..., i + d - lower]: a program of one instruction, every vector a lane."""
    n = weight.shape[1]
    (y,), _ = run(band_product(n, lower, upper), [weight, tf.reshape(x, [1, -1, n])])
    result = tf.reshape(y, tf.shape(x))
    set_shape(result, x.shape)
    return result


@tf.RegisterGradient("FeedbackwardBandOuter")
def _gradient_of_outer(op: Any, v: Any) -> list[Any]:
    (d, x), lower, upper = op.inputs, op.get_attr("lower"), op.get_attr("upper")
    return [product(x, v, lower, upper), product(d, transposed(v, lower, upper), upper, lower)]
