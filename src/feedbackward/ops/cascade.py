"""The operator of every filter: sections of transposed direct form II in series, of any order.

    y = b[0] u + s[0],    s[i] <- s[i+1] + b[i+1] u - a[i] y        (a without a0, which is 1)

`forward` is ``cascade(x, b, a, state, dim, hop, linear) -> (y, state_after)``:

- x: any leading shape around the time axis ``dim``, which is negative;
- b, a: (..., [frames,] sections, terms), with frames when hop > 0; state: (..., sections, order) or None;
- x and y have the dtype of the signal, everything else that of the computation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .recurrence import Recurrence, Tensors


def _fake(
    x: Tensor, b: Tensor, a: Tensor, state: Tensor | None, dim: int, hop: int, linear: bool
) -> tuple[Tensor, Tensor]:
    own = 3 if hop else 2
    at = x.ndim + dim
    shapes = [x.shape[:at] + x.shape[at + 1 :], b.shape[:-own], a.shape[:-own]]
    if state is not None:
        shapes.append(state.shape[:-2])
    lanes = list(torch.broadcast_shapes(*shapes))
    at = len(lanes) + dim + 1
    y = x.new_empty([*lanes[:at], x.shape[dim], *lanes[at:]])
    return y, b.new_empty([*lanes, b.shape[-2], max(b.shape[-1] - 1, a.shape[-1])])


def _tangent(inputs: Tensors, v: Tensors, settings: Any) -> tuple[Tensor, Tensor]:
    """Section by section.

    Each is linear in (u, b), and in a once y is known, so three filters add up::

        dy = F(b, a; du) + F(db, a; u) - F((0, da), a; y)
    """
    u, b, a, state = inputs
    v_u = torch.zeros_like(u) if v[0] is None else v[0]
    v_b, v_a, v_state = v[1:]
    if state is not None and v_state is None:
        v_state = torch.zeros_like(state)
    missing = max(b.shape[-1] - 1 - a.shape[-1], 0)
    v_after = []
    for k in range(b.shape[-2]):
        b_k, a_k, state_k, v_b_k, v_a_k, v_state_k = (_section(t, k) for t in (b, a, state, v_b, v_a, v_state))
        y, _ = forward(u, b_k, a_k, state_k, *settings)
        terms = [forward(v_u, b_k, a_k, v_state_k, *settings)]
        if v_b_k is not None:
            terms.append(forward(u, v_b_k, a_k, None, *settings))
        if v_a_k is not None:
            terms.append(forward(y, torch.nn.functional.pad(-v_a_k, (1, missing)), a_k, None, *settings))
        v_u = sum((term[0] for term in terms[1:]), start=terms[0][0])
        v_after.append(sum((term[1] for term in terms[1:]), start=terms[0][1]))
        u = y
    return v_u, torch.cat(v_after, -2)


def _section(tensor: Tensor | None, k: int) -> Tensor | None:
    return None if tensor is None else tensor.narrow(-2, k, 1)


def _own_axes(settings: Any) -> tuple[int, ...]:
    own = 3 if settings[1] else 2
    return 1, 2, 1, own, own, 2


_recurrence = Recurrence("cascade", fake=_fake, tangent=_tangent, own_axes=_own_axes, outputs=2, inputs=4)
forward, gradient = _recurrence.forward, _recurrence.gradient
