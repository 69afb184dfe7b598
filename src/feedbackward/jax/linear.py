"""The operator of a first-order linear recurrence: h[t] = d[t] h[t-1] + x[t].

`linear` takes (x, decay, initial) and settings (axis,), and gives [h]: x and decay have the time axis ``axis``,
negative, of size T, and decay may have size 1 there; initial has the leading shape alone, or is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..filters.shapes import without_time
from . import lanes
from .library import call
from .recurrence import Recurrence

_Settings = tuple[int]


def _outputs(inputs: Sequence[Any], settings: _Settings) -> list[Any]:
    x, decay, initial = inputs
    (axis,) = settings
    leading = [without_time(x.shape, axis), without_time(decay.shape, axis)]
    if initial is not None:
        leading.append(initial.shape)
    lead = lanes.broadcast_shapes(*leading)
    at = len(lead) + axis + 1
    return [jax.ShapeDtypeStruct((*lead[:at], x.shape[axis], *lead[at:]), x.dtype)]


def _forward(inputs: Sequence[Any], settings: _Settings) -> list[Any]:
    given = [x for x in inputs if x is not None]
    return call("linear_recurrence", _outputs(inputs, settings), *given, axis=settings[0])


def _gradient(
    d: Sequence[Any], inputs: Sequence[Any], kept: Sequence[Any], wanted: Sequence[bool], settings: _Settings
) -> list[Any]:
    given = [x for x in inputs if x is not None]
    like = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x, flag in zip(inputs, wanted, strict=True) if flag]
    bits = sum(1 << i for i, flag in enumerate(wanted) if flag)
    return call("linear_recurrence_gradient", like, *d, *given, axis=settings[0], wanted=bits)


def _tangent(inputs: Sequence[Any], v: Sequence[Any], settings: _Settings) -> list[Any]:
    """The same recurrence, driven by what else changes: dh[t] = d[t] dh[t-1] + (dx[t] + dd[t] h[t-1])."""
    x, decay, initial = inputs
    v_x, v_decay, v_initial = v
    v_x = jnp.zeros_like(x) if v_x is None else v_x
    if v_decay is not None:
        (h,) = linear(x, decay, initial, settings=settings, separate=True)
        v_x = v_x + v_decay * _delayed(h, initial, settings[0])
    v_h = linear(v_x, decay, v_initial, settings=settings, separate=True)[0]
    return [jnp.broadcast_to(v_h, _outputs(inputs, settings)[0].shape)]


def _delayed(h: Any, initial: Any, axis: int) -> Any:
    """h[t-1] for every t, with the initial state before the first."""
    steps = h.shape[axis]
    past = jax.lax.slice_in_dim(h, 0, max(steps - 1, 0), axis=h.ndim + axis)
    first = jax.lax.slice_in_dim(h, 0, min(steps, 1), axis=h.ndim + axis)
    lead = without_time(h.shape, axis)
    start = jnp.zeros_like(first)
    if initial is not None and steps:
        start = jnp.expand_dims(jnp.broadcast_to(initial, lead), h.ndim + axis)
    return jnp.concatenate([start, past], axis)


def _own_axes(settings: _Settings) -> tuple[int, ...]:
    return 1, 1, 1, 0


linear = Recurrence(
    "linear_recurrence",
    outputs=_outputs,
    forward=_forward,
    gradient=_gradient,
    tangent=_tangent,
    linear=(0, 2),
    **lanes.batch(_own_axes),
)
