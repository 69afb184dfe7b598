"""Static shapes, as far as they are known: an axis, or all of them, may not be."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

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


class Unknown(int):
    """A size that is not known while a function is traced: it equals any other, and is never too small.

    So the checks that all frameworks share pass where they cannot be made; the kernel makes them when it runs.
    """

    __hash__ = int.__hash__

    def __repr__(self) -> str:
        return "None"

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __lt__(self, other: Any) -> bool:
        return False

    def __gt__(self, other: Any) -> bool:
        return True

    def __neg__(self) -> Unknown:
        return self

    def __sub__(self, other: Any) -> Unknown:
        return self

    def __floordiv__(self, other: Any) -> Unknown:
        return self


def sizes(tensor: Any) -> tuple[int, ...]:
    """The shape of a tensor, as `feedbackward.filters.shapes` takes it."""
    return tuple(Unknown() if size is None else size for size in tensor.shape)


def described_by(given: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], str]]:
    """The shape and the dtype of every tensor that there is, as `feedbackward.recurrent.shapes` takes them."""
    return {name: (sizes(x), x.dtype.name) for name, x in given.items() if x is not None}


def known(shape: Iterable[int]) -> list[int | None]:
    """The same shape, as TensorFlow takes it."""
    return [None if isinstance(size, Unknown) else size for size in shape]


def check_broadcast(*shapes: tuple[int, ...]) -> None:
    """Whether shapes broadcast, as far as they are known.

    Raises:
        ValueError: They do not.
    """
    broadcast(tf.TensorShape(known(shape)) for shape in shapes)
