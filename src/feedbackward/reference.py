"""Every operator of the library as a plain loop over time, which the native kernels are held against.

A filter of order n in transposed direct form II, normalized so that a_0 = 1, starts at s[-1] = zi (zero by default):

    y[t]   = b_0 x[t] + s_1[t-1]
    s_i[t] = b_i x[t] + s_{i+1}[t-1] - a_i y[t],    i = 1 .. n,    s_{n+1} = 0

A cascade feeds the y of one section to the next as its x. With ``hop = h`` the coefficients of sample t = f h + r are
c[f] (``"hold"``) or c[f] + (c[f+1] - c[f]) r / h (``"linear"``), the last frame being held where there is no next one.

A linear recurrence starts at h[-1] = initial (zero by default):

    h[t] = decay[t] h[t-1] + x[t]

A scan feeds the carry of one step to the next, and stacks what every step returns beside it:

    carry[t], y[t] = cell(carry[t-1], x[t]),    carry[-1] = init

The functions have the signatures of their native twins and are differentiable to any order by autograd. They are
written to be read: slow, unchecked, and free of every trick.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from .trees import flatten

__all__ = ["lfilter", "linear_recurrence", "scan", "sosfilt"]


def lfilter(
    b: Tensor,  # (..., nb), or (..., frames, nb) with hop
    a: Tensor,  # (..., na), or (..., frames, na) with hop
    x: Tensor,  # time along dim
    dim: int = -1,
    zi: Tensor | None = None,  # (..., n), n = max(nb, na) - 1
    *,
    hop: int | None = None,
    interpolation: str = "hold",
    compute_dtype: torch.dtype | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Filter x, as :func:`feedbackward.lfilter` does: a cascade of one section."""
    taps = max(b.shape[-1], a.shape[-1])
    b = pad(b, (0, taps - b.shape[-1])).unsqueeze(-2)
    a = pad(a, (0, taps - a.shape[-1])).unsqueeze(-2)
    state = None if zi is None else zi.unsqueeze(-2)
    y, zf = _cascade(b, a, x, dim, state, hop, interpolation, compute_dtype)
    return y if zi is None else (y, zf.squeeze(-2))


def sosfilt(
    sos: Tensor,  # (..., sections, 6), or (..., frames, sections, 6) with hop
    x: Tensor,  # time along dim
    dim: int = -1,
    zi: Tensor | None = None,  # (..., sections, 2)
    *,
    hop: int | None = None,
    interpolation: str = "hold",
    compute_dtype: torch.dtype | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Filter x through second-order sections, as :func:`feedbackward.sosfilt` does."""
    y, zf = _cascade(sos[..., :3], sos[..., 3:], x, dim, zi, hop, interpolation, compute_dtype)
    return y if zi is None else (y, zf)


def linear_recurrence(
    decay: Tensor | complex,  # x's layout with T or 1 time steps, or x's layout without time
    x: Tensor,  # time along dim
    initial: Tensor | None = None,  # x's layout without time
    dim: int = -1,
) -> Tensor:
    """Run h[t] = decay[t] h[t-1] + x[t], as :func:`feedbackward.linear_recurrence` does."""
    dim = dim if dim < 0 else dim - x.ndim
    dtype = torch.result_type(x, decay)
    dtype = dtype if initial is None else torch.result_type(x.to(dtype), initial)
    decay = torch.as_tensor(decay, dtype=dtype, device=x.device)
    decay = decay.movedim(dim, -1) if decay.ndim == x.ndim else decay.unsqueeze(-1)
    x = x.movedim(dim, -1).to(dtype)
    steps = x.shape[-1]
    lead = torch.broadcast_shapes(decay.shape[:-1], x.shape[:-1], () if initial is None else initial.shape)
    h = x.new_zeros(lead) if initial is None else initial.to(dtype).expand(lead)
    history = []
    for t in range(steps):
        h = decay[..., t if decay.shape[-1] > 1 else 0] * h + x[..., t]
        history.append(h)
    return _stack_time(history, lead, x).movedim(-1, dim)


def _cascade(
    b: Tensor,  # (..., [frames,] sections, n + 1)
    a: Tensor,  # (..., [frames,] sections, n + 1), a0 included
    x: Tensor,
    dim: int,
    zi: Tensor | None,  # (..., sections, n)
    hop: int | None,
    interpolation: str,
    compute_dtype: torch.dtype | None,
) -> tuple[Tensor, Tensor]:
    dim = dim if dim < 0 else dim - x.ndim
    operands = (b, a, x) if zi is None else (b, a, x, zi)
    promoted = functools.reduce(torch.promote_types, (operand.dtype for operand in operands))
    signal, compute = (promoted, promoted) if compute_dtype is None else (x.dtype, compute_dtype)
    if promoted.is_complex or compute.is_complex:
        signal, compute = signal.to_complex(), compute.to_complex()
    b, a, x = b.to(compute), a.to(compute), x.movedim(dim, -1).to(compute)
    if hop is None:
        b, a = b.unsqueeze(-3), a.unsqueeze(-3)
    b, a = b / a[..., :1], a / a[..., :1]
    steps, (sections, taps) = x.shape[-1], b.shape[-2:]
    lead = torch.broadcast_shapes(b.shape[:-3], a.shape[:-3], x.shape[:-1], () if zi is None else zi.shape[:-2])
    shape = (*lead, sections, taps - 1)
    state = x.new_zeros(shape) if zi is None else zi.to(compute).expand(shape)
    outputs = []
    for t in range(steps):
        b_now, a_now = (_coefficients(c, t, hop or steps, interpolation) for c in (b, a))
        value, states = x[..., t], []
        for k in range(sections):
            value, s = _section(b_now[..., k, :], a_now[..., k, :], value, state[..., k, :])
            states.append(s)
        state = torch.stack(states, -2)
        outputs.append(value)
    return _stack_time(outputs, lead, x).to(signal).movedim(-1, dim), state


def _section(b: Tensor, a: Tensor, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """One sample through one section: the two equations at the top of this file."""
    state = pad(state, (0, 1))  # s_1 .. s_n, s_{n+1} = 0
    y = b[..., 0] * x + state[..., 0]
    return y, b[..., 1:] * x[..., None] + state[..., 1:] - a[..., 1:] * y[..., None]


def _coefficients(c: Tensor, t: int, hop: int, interpolation: str) -> Tensor:
    """The coefficients of sample t, from c of shape (..., frames, sections, n + 1)."""
    frame, rest = divmod(t, hop)
    last = c.shape[-3] - 1
    now = c[..., min(frame, last), :, :]
    if interpolation == "hold":
        return now
    return now + (c[..., min(frame + 1, last), :, :] - now) * (rest / hop)


def _stack_time(values: list[Tensor], lead: torch.Size, like: Tensor) -> Tensor:
    return torch.stack(values, -1).expand(*lead, len(values)) if values else like.new_zeros((*lead, 0))


def scan(
    cell: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any,
    *,
    dim: int = 0,
    reverse: bool = False,
    length: int | None = None,
) -> tuple[Any, Any]:
    """`feedbackward.scan` as a loop over its cell; as many steps as xs has, or ``length`` where it has no tensors."""
    leaves, tree = flatten(xs)
    axis = dim % leaves[0].ndim if leaves else 0
    steps: int = leaves[0].shape[axis] if leaves else length or 0
    carry, ys = init, []
    slices = [x.unbind(dim) for x in leaves]
    for t in reversed(range(steps)) if reverse else range(steps):
        carry, y = cell(carry, tree.unflatten([x[t] for x in slices]))
        ys.append(flatten(y))
    if not ys:  # no step was run: one on zeros shows the form of y
        zeros = [x.new_zeros(x.movedim(dim, 0).shape[1:]) for x in leaves]
        y_leaves, y_tree = flatten(cell(init, tree.unflatten(zeros))[1])
        stacked = [y.new_empty((0, *y.shape)) for y in y_leaves]
    else:
        y_tree = ys[0][1]
        columns = zip(*(y for y, _ in (reversed(ys) if reverse else ys)), strict=True)
        stacked = [torch.stack(column) for column in columns]
    moved = [y if axis == 0 else y.movedim(0, dim if dim < 0 else min(dim, y.ndim - 1)) for y in stacked]
    return carry, y_tree.unflatten(moved)
