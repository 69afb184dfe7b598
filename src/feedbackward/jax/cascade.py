"""The operator of every filter: sections of transposed direct form II in series, of any order.

    y = b[0] u + s[0],    s[i] <- s[i+1] + b[i+1] u - a[i] y        (a without a0, which is 1)

`cascade` takes (x, b, a, state) and settings (axis, hop, linear), and gives [y, state_after]:

- x: any leading shape around the time axis ``axis``, which is negative;
- b, a: (..., [frames,] sections, terms), with frames when hop > 0; state: (..., sections, order) or None;
- x and y have the dtype of the signal, everything else that of the computation.
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

_Settings = tuple[int, int, bool]


def _outputs(inputs: Sequence[Any], settings: _Settings) -> list[Any]:
    x, b, a, state = inputs
    axis, hop, _ = settings
    own = 3 if hop else 2
    leading = [without_time(x.shape, axis), b.shape[:-own], a.shape[:-own]]
    if state is not None:
        leading.append(state.shape[:-2])
    lead = lanes.broadcast_shapes(*leading)
    at = len(lead) + axis + 1
    y = (*lead[:at], x.shape[axis], *lead[at:])
    after = (*lead, b.shape[-2], max(b.shape[-1] - 1, a.shape[-1]))
    return [jax.ShapeDtypeStruct(y, x.dtype), jax.ShapeDtypeStruct(after, b.dtype)]


def _named(settings: _Settings) -> dict[str, Any]:
    return dict(zip(("axis", "hop", "linear"), settings, strict=True))


def _forward(inputs: Sequence[Any], settings: _Settings) -> list[Any]:
    given = [x for x in inputs if x is not None]
    return call("cascade", _outputs(inputs, settings), *given, **_named(settings))


def _gradient(
    d: Sequence[Any], inputs: Sequence[Any], kept: Sequence[Any], wanted: Sequence[bool], settings: _Settings
) -> list[Any]:
    given = [x for x in inputs if x is not None]
    like = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x, flag in zip(inputs, wanted, strict=True) if flag]
    bits = sum(1 << i for i, flag in enumerate(wanted) if flag)
    return call("cascade_gradient", like, *d, *given, **_named(settings), wanted=bits)


def _tangent(inputs: Sequence[Any], v: Sequence[Any], settings: _Settings) -> list[Any]:
    """Section by section.

    Each is linear in (u, b), and in a once y is known, so three filters add up::

        dy = F(b, a; du) + F(db, a; u) - F((0, da), a; y)
    """
    u, b, a, state = inputs
    v_u, v_b, v_a, v_state = v
    order = max(b.shape[-1] - 1, a.shape[-1])
    like, after_like = _outputs(inputs, settings)
    v_after = []
    for k in range(b.shape[-2]):
        b_k, a_k, state_k, v_b_k, v_a_k, v_state_k = (_section(t, k) for t in (b, a, state, v_b, v_a, v_state))
        terms = []
        if v_u is not None or v_state_k is not None:
            terms.append(
                cascade(
                    jnp.zeros_like(u) if v_u is None else v_u, b_k, a_k, v_state_k, settings=settings, separate=True
                )
            )
        if v_b_k is not None:
            terms.append(cascade(u, v_b_k, a_k, None, settings=settings, separate=True))
        if v_a_k is not None or k < b.shape[-2] - 1:
            u = cascade(u, b_k, a_k, state_k, settings=settings, separate=True)[0]
        if v_a_k is not None:
            ends = [(0, 0)] * (v_a_k.ndim - 1) + [(1, order - v_a_k.shape[-1])]
            terms.append(cascade(u, jnp.pad(-v_a_k, ends), a_k, None, settings=settings, separate=True))
        if terms:
            v_u = jnp.broadcast_to(sum((y for y, _ in terms[1:]), start=terms[0][0]), like.shape)
        none = jnp.zeros((*after_like.shape[:-2], 1, order), after_like.dtype)
        v_after.append(sum((after for _, after in terms), start=none))
    return [v_u, jnp.concatenate(v_after, -2)]


def _section(array: Any, k: int) -> Any:
    return None if array is None else array[..., k : k + 1, :]


def _own_axes(settings: _Settings) -> tuple[int, ...]:
    own = 3 if settings[1] else 2
    return 1, 2, 1, own, own, 2


cascade = Recurrence(
    "cascade",
    outputs=_outputs,
    forward=_forward,
    gradient=_gradient,
    tangent=_tangent,
    linear=(0, 3),
    **lanes.batch(_own_axes),
)
