"""The first-order linear recurrence: exponential smoothing, leaky integrators, diagonal state-space models.

h[t] = decay[t] h[t-1] + x[t],    h[-1] = initial
"""

from __future__ import annotations

from numbers import Number
from typing import Any

import tensorflow as tf

from ..filters.shapes import of_linear_recurrence
from .arguments import to_complex, to_tensors, unify
from .ops import linear
from .shapes import check_broadcast, sizes


@tf.autograph.experimental.do_not_convert
def linear_recurrence(decay: Any, x: Any, initial: Any = None, axis: int = -1) -> Any:
    """Runs h[t] = decay[t] h[t-1] + x[t] along ``axis``, from h[-1] = initial.

    Shapes broadcast as TensorFlow's do, without copies. A decay with as many axes as x has x's layout: its axis
    ``axis`` is time, of size T or 1. A decay with fewer axes has no time axis: it broadcasts with x without its time
    axis, so that (channels,) serves x (batch, channels, T).

    Args:
        decay: A number, or a tensor as above; float32, float64, complex64 or complex128.
        x: Input, any shape, with time along ``axis``.
        initial: State before the first step, which broadcasts with x without its time axis. None: zeros.
        axis: The time axis of x, and of h when counted from the end.

    Returns:
        h, with the broadcast shape and time where x has it; its last entry along time is the ``initial`` of the next
        block. Dtypes are promoted as numpy does; a number takes the precision of x.

    Raises:
        TypeError: An argument is not a tensor, or not of a known dtype.
        ValueError: Shapes do not fit.
        NotImplementedError: A tensor is not on the CPU, or XLA is to compile the call.

    Example:
        >>> import tensorflow as tf
        >>> from feedbackward.tensorflow import linear_recurrence
        >>> linear_recurrence(0.5, tf.ones(4)).numpy().tolist()
        [1.0, 1.5, 1.75, 1.875]
        >>> linear_recurrence(tf.constant([[1.0, 0.0, 1.0]]), tf.ones([1, 3])).numpy().tolist()
        [[1.0, 1.0, 2.0]]

    Source:
        G. E. Blelloch, Prefix sums and their applications, 1990, section 1.4, names the problem; the gradient is the
        same recurrence in reverse.
    """
    x, initial = to_tensors("linear_recurrence", {"x": x, "initial": initial})
    if isinstance(decay, Number) and not isinstance(decay, bool):
        decay = tf.constant(decay, to_complex(x.dtype) if isinstance(decay, complex) else x.dtype)
    (decay,) = to_tensors("linear_recurrence", {"decay": decay})
    state = None if initial is None else sizes(initial)
    axis, _ = of_linear_recurrence(sizes(decay), sizes(x), state, axis, name="axis", broadcast=check_broadcast)
    x, (rate, initial) = unify("linear_recurrence", x, [decay, initial], None)
    if rate.shape.rank < x.shape.rank:
        rate = _with_time(rate, axis)
    return linear.forward(x, rate, initial, axis)


def _with_time(decay: Any, axis: int) -> Any:
    """A decay without time, with an axis of size 1 there, and in front as many more as that takes."""
    while decay.shape.rank < -axis - 1:
        decay = decay[None]
    return tf.expand_dims(decay, axis)
