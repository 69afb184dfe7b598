"""The operator of a first-order linear recurrence: h[t] = d[t] h[t-1] + x[t].

`forward` is ``linear_recurrence(x, decay, initial, dim) -> h``: x and decay have the time axis ``dim``, negative, of
size T, and decay may have size 1 there; initial has the leading shape alone, or is None.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .recurrence import Recurrence, Tensors


def _fake(x: Tensor, decay: Tensor, initial: Tensor | None, dim: int) -> Tensor:
    shapes = [t.shape[: t.ndim + dim] + t.shape[t.ndim + dim + 1 :] for t in (x, decay)]
    if initial is not None:
        shapes.append(initial.shape)
    lanes = list(torch.broadcast_shapes(*shapes))
    at = len(lanes) + dim + 1
    return x.new_empty([*lanes[:at], x.shape[dim], *lanes[at:]])


def _tangent(inputs: Tensors, v: Tensors, settings: Any) -> tuple[Tensor]:
    """The same recurrence, driven by what else changes: dh[t] = d[t] dh[t-1] + (dx[t] + dd[t] h[t-1])."""
    x, decay, initial = inputs
    (dim,) = settings
    v_x = torch.zeros_like(x) if v[0] is None else v[0]
    v_initial = torch.zeros_like(initial) if v[2] is None and initial is not None else v[2]
    if v[1] is not None:
        h = forward(x, decay, initial, dim)
        v_x = v_x + v[1] * _delay(h, initial, dim)
    return (forward(v_x, decay, v_initial, dim),)


def _delay(h: Tensor, initial: Tensor | None, dim: int) -> Tensor:
    """h[t-1] for every t, with the initial state before the first."""
    past = h.narrow(dim, 0, max(h.shape[dim] - 1, 0))
    first = h.narrow(dim, 0, min(h.shape[dim], 1))
    start = torch.zeros_like(first) if initial is None else initial.unsqueeze(dim).expand_as(first)
    return torch.cat([start, past], dim)


def _own_axes(settings: Any) -> tuple[int, ...]:
    return 1, 1, 1, 0


_recurrence = Recurrence("linear_recurrence", fake=_fake, tangent=_tangent, own_axes=_own_axes, outputs=1, inputs=3)
forward, gradient = _recurrence.forward, _recurrence.gradient
