"""The operator of every filter: sections of transposed direct form II in series, of any order.

    y = b[0] u + s[0],    s[i] <- s[i+1] + b[i+1] u - a[i] y        (a without a0, which is 1)

Each section is linear in (u, b) and, given y, in a, so its tangent is the same recurrence, driven by three signals:

    dy = F(b, a; du) + F(db, a; u) - F((0, da), a; y)

The gradient (the adjoint of that map) is a kernel of its own. Its derivatives in turn are those of the tangent: with
S = <d_y, tangent(v)>, the gradient of <v, gradient(d_y)> with respect to d_y is tangent(v), and with respect to the
inputs it is the gradient of S. So forward and gradient express each other's derivatives, to any order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import library as library  # loads the operators
from .operator import Operator, to_front

X, B, A, STATE = 1, 2, 4, 8


def lanes_shape(x: Tensor, b: Tensor, a: Tensor, state: Tensor | None, dim: int, hop: int) -> torch.Size:
    """The broadcast of all leading axes."""
    tail = 3 if hop else 2
    signal = x.shape[: x.ndim + dim] + x.shape[x.ndim + dim + 1 :]
    shapes = [signal, b.shape[:-tail], a.shape[:-tail]] + ([] if state is None else [state.shape[:-2]])
    return torch.broadcast_shapes(*shapes)


def _order(b: Tensor, a: Tensor) -> int:
    return max(b.shape[-1] - 1, a.shape[-1])


def _fake(
    x: Tensor, b: Tensor, a: Tensor, state: Tensor | None, dim: int, hop: int, linear: bool
) -> tuple[Tensor, Tensor]:
    lanes = list(lanes_shape(x, b, a, state, dim, hop))
    at = len(lanes) + dim + 1
    y = x.new_empty(lanes[:at] + [x.shape[dim]] + lanes[at:])
    return y, b.new_empty([*lanes, b.shape[-2], _order(b, a)])


def _fake_backward(
    d_y: Tensor,
    d_after: Tensor,
    x: Tensor,
    b: Tensor,
    a: Tensor,
    state: Tensor | None,
    dim: int,
    hop: int,
    linear: bool,
    wanted: int,
) -> tuple[Tensor, ...]:
    def gradient(of: Tensor | None, bit: int) -> Tensor:
        return b.new_empty(0) if of is None else of.new_empty(of.shape if wanted & bit else (0,))

    return gradient(x, X), gradient(b, B), gradient(a, A), gradient(state, STATE)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    tensors = [value for value in inputs if isinstance(value, Tensor) or value is None]
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)
    ctx.settings = tuple(inputs[len(tensors) :])


def _needed(needs: tuple[bool, ...]) -> int:
    return sum(bit for bit, need in zip((X, B, A, STATE), needs, strict=False) if need)


def _backward(ctx: Any, d_y: Tensor, d_after: Tensor) -> tuple[Tensor | None, ...]:
    wanted = _needed(ctx.needs_input_grad[:4])
    gradients = gradient(d_y, d_after, *ctx.saved_tensors, *ctx.settings, wanted)
    return *_only(wanted, gradients), None, None, None


def _only(wanted: int, gradients: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
    return tuple(g if wanted & bit else None for bit, g in zip((X, B, A, STATE), gradients, strict=True))


def _jvp(ctx: Any, *v: Any) -> tuple[Tensor, Tensor]:
    return _tangent(ctx.saved_tensors, v[:4], ctx.settings)


def _backward_of_gradient(ctx: Any, *v: Tensor) -> tuple[Tensor | None, ...]:
    d_y, d_after, *inputs = ctx.saved_tensors
    *settings, wanted = ctx.settings
    tangent, gradients = _second_order((d_y, d_after), inputs, _only(wanted, v), settings)
    return *tangent, *gradients, None, None, None, None


def _jvp_of_gradient(ctx: Any, *v: Any) -> tuple[Tensor, ...]:
    d_y, d_after, *inputs = ctx.saved_tensors
    *settings, wanted = ctx.settings
    v_output = [torch.zeros_like(d) if t is None else t for d, t in zip((d_y, d_after), v[:2], strict=True)]
    first = gradient(*v_output, *inputs, *settings, wanted)
    _, second = _second_order((d_y, d_after), inputs, v[2:6], settings)
    return tuple(f if keep is None else f + s for f, s, keep in zip(first, second, _only(wanted, first), strict=True))


def _tangent(inputs: Any, v: Any, settings: Any) -> tuple[Tensor, Tensor]:
    """The tangent of (y, state_after) at inputs = (x, b, a, state) along v; None in v is a zero tangent."""
    u, b, a, state = inputs
    v_u = torch.zeros_like(u) if v[0] is None else v[0]
    v_b, v_a, v_state = v[1:]
    if state is not None and v_state is None:
        v_state = torch.zeros_like(state)
    v_after = []
    for k in range(b.shape[-2]):
        b_k, a_k, state_k, v_b_k, v_a_k, v_state_k = (_section(t, k) for t in (b, a, state, v_b, v_a, v_state))
        y, _ = forward(u, b_k, a_k, state_k, *settings)
        terms = [forward(v_u, b_k, a_k, v_state_k, *settings)]
        if v_b_k is not None:
            terms.append(forward(u, v_b_k, a_k, None, *settings))
        if v_a_k is not None:
            taps = torch.nn.functional.pad(-v_a_k, (1, _order(b, a) - a.shape[-1]))
            terms.append(forward(y, taps, a_k, None, *settings))
        v_u, after = (sum(parts[1:], start=parts[0]) for parts in zip(*terms, strict=True))
        v_after.append(after)
        u = y
    return v_u, torch.cat(v_after, -2)


def _second_order(d: Any, inputs: Any, v: Any, settings: Any) -> tuple[tuple[Tensor, Tensor], list[Tensor | None]]:
    """The tangent along v, and the gradient of <d, tangent> with respect to the inputs."""
    given = [i for i, value in enumerate(inputs) if value is not None]

    def tangent_at(*values: Tensor) -> tuple[Tensor, Tensor]:
        filled = list(inputs)
        for i, value in zip(given, values, strict=True):
            filled[i] = value
        return _tangent(filled, v, settings)

    tangent, pull = torch.func.vjp(tangent_at, *(inputs[i] for i in given))
    gradients: list[Tensor | None] = [None] * len(inputs)
    for i, value in zip(given, pull(tuple(d)), strict=True):
        gradients[i] = value
    return tangent, gradients


def _section(tensor: Tensor | None, k: int) -> Tensor | None:
    return None if tensor is None else tensor.narrow(-2, k, 1)


def _batched(tensors: Any, in_dims: Any, tails: Any) -> list[Tensor | None]:
    """Every tensor with its batch axis first, and all leading axes aligned behind it."""
    ranks = [
        0 if t is None else t.ndim - tail - (batch_dim is not None)
        for t, batch_dim, tail in zip(tensors, in_dims, tails, strict=True)
    ]
    rank = 1 + max(ranks)
    return [to_front(t, batch_dim, rank + tail) for t, batch_dim, tail in zip(tensors, in_dims, tails, strict=True)]


def _vmap(info: Any, in_dims: Any, *arguments: Any) -> tuple[Any, Any]:
    tensors, settings = arguments[:4], arguments[4:]
    tail = 3 if settings[1] else 2
    return forward(*_batched(tensors, in_dims[:4], (1, tail, tail, 2)), *settings), (0, 0)


def _vmap_gradient(info: Any, in_dims: Any, *arguments: Any) -> tuple[Any, Any]:
    tensors, settings = arguments[:6], arguments[6:]
    tail = 3 if settings[1] else 2
    dims = list(in_dims[:6])
    shapes = []
    spread = []
    for tensor, batch_dim in zip(tensors, dims, strict=True):
        if tensor is not None and batch_dim is None:
            tensor = tensor.expand(info.batch_size, *tensor.shape)
        spread.append(tensor)
        shapes.append(None if tensor is None else tensor.movedim(batch_dim or 0, 0).shape)
    aligned = _batched(spread, [d or 0 for d in dims], (1, 2, 1, tail, tail, 2))
    gradients = gradient(*aligned, *settings)
    wanted = settings[-1]
    kept = _only(wanted, gradients)
    result = tuple(
        g if keep is None else g.reshape(shape) for g, keep, shape in zip(gradients, kept, shapes[2:], strict=True)
    )
    return result, tuple(None if keep is None else 0 for keep in kept)


forward = Operator("cascade", fake=_fake, setup_context=_keep, backward=_backward, jvp=_jvp, vmap=_vmap)
gradient = Operator(
    "cascade_backward",
    fake=_fake_backward,
    setup_context=_keep,
    backward=_backward_of_gradient,
    jvp=_jvp_of_gradient,
    vmap=_vmap_gradient,
)
