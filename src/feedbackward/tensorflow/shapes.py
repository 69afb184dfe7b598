"""Static shapes, as far as they are known: an axis, or all of them, may not be."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import tensorflow as tf


def without_axis(shape: tf.TensorShape, axis: int) -> tf.TensorShape:
    """The shape without one axis, which is negative."""
    if shape.rank is None:
        return shape
    at = shape.rank + axis
    return shape[:at] + shape[at + 1 :]


def with_axis(lanes: tf.TensorShape, axis: int, like: tf.TensorShape) -> tf.TensorShape:
    """The shape with one axis more, which is then ``axis``, and as long as that of ``like``."""
    if lanes.rank is None or like.rank is None:
        return tf.TensorShape(None)
    at = lanes.rank + axis + 1
    return lanes[:at] + [like[axis]] + lanes[at:]


def lead(shape: tf.TensorShape, own: int) -> tf.TensorShape:
    """The shape without its last axes."""
    return shape if shape.rank is None else shape[: shape.rank - own]


def broadcast(shapes: Iterable[tf.TensorShape]) -> tf.TensorShape:
    """What the shapes broadcast to.

    Raises:
        ValueError: They do not.
    """
    return functools.reduce(tf.broadcast_static_shape, shapes, tf.TensorShape([]))
