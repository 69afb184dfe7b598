"""The operator of a first-order linear recurrence: h[t] = d[t] h[t-1] + x[t].

`forward` is ``linear_recurrence(x, decay, initial, axis) -> h``: x and decay have the time axis ``axis``, negative, of
size T, and decay may have size 1 there; initial has the leading shape alone, or is None.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..shapes import broadcast, with_axis, without_axis
from .library import operators
from .recurrence import Recurrence, Settings, Tensors


def forward(x: Any, decay: Any, initial: Any, axis: int) -> Any:
    """The state after every step."""
    inputs = [x, decay] if initial is None else [x, decay, initial]
    (h,) = _recurrence.forward(inputs, {"axis": axis})
    return h


def _shapes(inputs: Tensors, settings: Settings) -> tuple[tf.TensorShape]:
    x, decay, *initial = (t.shape for t in inputs)
    axis = settings["axis"]
    return (with_axis(broadcast([without_axis(x, axis), without_axis(decay, axis), *initial]), axis, x),)


def _tangent(inputs: Tensors, v: Tensors, settings: Settings) -> tuple[Any]:
    """The same recurrence, driven by what else changes: dh[t] = d[t] dh[t-1] + (dx[t] + dd[t] h[t-1])."""
    x, decay, initial = (*inputs, None)[:3]
    v_x, v_decay, v_initial = (*v, None)[:3]
    axis = settings["axis"]
    if v_x is None:
        v_x = tf.zeros_like(x)
    if initial is not None and v_initial is None:
        v_initial = tf.zeros_like(initial)
    if v_decay is not None:
        v_x = v_x + v_decay * _delay(forward(x, decay, initial, axis), initial, axis)
    return (forward(v_x, decay, v_initial, axis),)


def _delay(h: Any, initial: Any, axis: int) -> Any:
    """h[t-1] for every t, with the initial state before the first."""
    behind = (slice(None),) * (-axis - 1)
    parts = [(..., part, *behind) for part in (slice(None, -1), slice(None, 1))]
    past, first = (h[part] for part in parts)
    start = tf.zeros_like(first) if initial is None else tf.expand_dims(initial, axis) + tf.zeros_like(first)
    return tf.concat([start, past], axis)


_recurrence = Recurrence(
    "FeedbackwardLinear",
    forward=operators.feedbackward_linear,
    gradient=operators.feedbackward_linear_gradient,
    shapes=_shapes,
    tangent=_tangent,
    outputs=1,
    inputs=2,
    settings=("axis",),
)
