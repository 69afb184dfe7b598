"""Products with a banded matrix, and the gradient of the gradient of its diagonals.

With <v, outer(d, x)> = <d, V x>, V being the matrix of the diagonals v, the gradient of that with respect to d is V x,
and with respect to x it is V^T d. A factor that is read a step late has its gradient a step early.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ...engine.steps import band_product
from .diagonals import Order, transposed
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
    (d, x, *before), lower, upper = op.inputs, op.get_attr("lower"), op.get_attr("upper")
    order, late = Order(op.get_attr("reverse"), op.get_attr("lanes_first")), op.get_attr("late")
    read = [order.delayed(factor, *before) if late == i else factor for i, factor in ((1, d), (2, x))]
    found = [product(read[1], v, lower, upper), product(read[0], transposed(v, lower, upper), upper, lower)]
    if not late:
        return found
    d_late, back = found[late - 1], order._replace(reverse=not order.reverse)
    found[late - 1] = back.delayed(d_late, tf.zeros_like(before[0]))
    return [*found, order.at_start(d_late)]
