"""A banded matrix by its diagonals: W[i, i + d - lower] = weight[d, i], d = 0 .. lower + upper."""

from __future__ import annotations

from typing import Any, NamedTuple

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


class Order(NamedTuple):
    """How time lies in sequences and outputs.

    Attributes:
        reverse: Whether the last step is the first.
        lanes_first: Whether they are (lanes, T, rows), not (T, lanes, rows).
    """

    reverse: bool = False
    lanes_first: bool = False

    @property
    def time_axis(self) -> int:
        """Where time is."""
        return int(self.lanes_first)

    @property
    def lane_axis(self) -> int:
        """Where lanes are."""
        return int(not self.lanes_first)

    def delayed(self, x: Any, before: Any) -> Any:
        """A sequence a step late, after ``before`` (lanes, rows)."""
        start, steps = tf.expand_dims(before, self.time_axis), tf.shape(x)[self.time_axis]
        whole = tf.concat([x, start] if self.reverse else [start, x], self.time_axis)
        result = self._part(whole, slice(1, None) if self.reverse else slice(0, steps))
        set_shape(result, x.shape)
        return result

    def at_start(self, x: Any) -> Any:
        """What a sequence is at the first step, (lanes, rows); zeros where it has none."""
        return tf.reduce_sum(self._part(x, slice(-1, None) if self.reverse else slice(0, 1)), self.time_axis)

    def _part(self, x: Any, steps: slice) -> Any:
        return x[(slice(None),) * self.time_axis + (steps,)]


FORWARD = Order()


def outer(d_y: Any, x: Any, lower: int, upper: int, before: Any = None, order: Order = FORWARD, late: int = 0) -> Any:
    """The gradient of the diagonals: sums of d_y[..., i] x[..., i + d - lower] over all leading axes.

    The factor that ``late`` names, 1 or 2, is read a step late, after ``before`` (lanes, n): then both have two leading
    axes, in that ``order``.
    """
    n = tf.shape(d_y)[-1]
    factors = [d_y, x] if late else [tf.reshape(t, [1, -1, n]) for t in (d_y, x)]
    starts = [before] if late else []
    result = operators.feedbackward_band_outer(*factors, starts, lower=lower, upper=upper, late=late, **order._asdict())
    set_shape(result, tf.TensorShape([lower + upper + 1, d_y.shape[-1]]))
    return result


def product_by_index(x: Any, weight: Any, lower: int, upper: int) -> Any:
    """One diagonal after the other, for dtypes that the machine does not know."""
    n = tf.shape(x)[-1]
    padded = tf.pad(x, [[0, 0]] * (x.shape.rank - 1) + [[lower, upper]])
    result = tf.add_n([weight[d] * padded[..., d : d + n] for d in range(lower + upper + 1)])
    set_shape(result, x.shape)
    return result
