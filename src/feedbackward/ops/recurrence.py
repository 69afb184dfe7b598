"""The derivatives of every recurrence, of any order, from its tangent.

A recurrence is a pair of operators: `forward`, and `gradient`, the adjoint of its tangent map, which is a kernel too.

- The tangent of `forward` is a recurrence of the same kind, so it is written with `forward` itself.
- The gradient of `forward` is `gradient`.
- With S = <d, tangent(v)>: the gradient of <v, gradient(d)> with respect to d is tangent(v), and with respect to the
  inputs it is the gradient of S; the tangent of gradient(d) along v is, since second derivatives commute, the
  gradient of S too, plus `gradient` of the tangent of d.

So forward and gradient express each other's derivatives, and no rule is written twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .operator import Operator

Tensors = Sequence[Any]  # tensors, or None where an argument was not given


class Recurrence:
    """Operators ``name(*inputs, *settings)`` and ``name_backward(*d_outputs, *inputs, *settings, wanted)``.

    Bit 2**i of ``wanted`` asks for the gradient of input i; what is not wanted comes back empty.

    Args:
        name: The operator's name.
        fake: ``(*inputs, *settings)``: the outputs for fake tensors.
        tangent: ``(inputs, v, settings)``: the tangent of every output along v; None in v is a zero tangent.
        own_axes: ``(settings)``: how many axes of its own, beyond the leading ones, every output and every input has.
        outputs: The number of outputs.
        inputs: The number of inputs that are tensors.
    """

    def __init__(
        self,
        name: str,
        *,
        fake: Callable[..., Any],
        tangent: Callable[[Tensors, Tensors, Any], tuple[Tensor, ...]],
        own_axes: Callable[[Any], Sequence[int]],
        outputs: int,
        inputs: int,
    ) -> None:
        self.tangent, self.own_axes, self.outputs, self.inputs = tangent, own_axes, outputs, inputs
        self.forward = Operator(
            name,
            fake=fake,
            setup_context=self._keep_inputs,
            backward=self._backward,
            jvp=self._jvp,
            vmap=self._vmap,
        )
        self.gradient = Operator(
            f"{name}_backward",
            fake=self._fake_gradient,
            setup_context=self._keep_all,
            backward=self._backward_of_gradient,
            jvp=self._jvp_of_gradient,
            vmap=self._vmap_of_gradient,
        )

    def _keep_inputs(self, ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _keep(ctx, inputs, self.inputs)

    def _keep_all(self, ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        _keep(ctx, inputs, self.outputs + self.inputs)

    def _backward(self, ctx: Any, *d: Tensor) -> tuple[Tensor | None, ...]:
        wanted = sum(1 << i for i in range(self.inputs) if ctx.needs_input_grad[i])
        gradients = self.gradient(*d, *ctx.saved_tensors, *ctx.settings, wanted)
        return *_only(wanted, gradients), *(None for _ in ctx.settings)

    def _jvp(self, ctx: Any, *v: Any) -> Any:
        tangent = self.tangent(ctx.saved_tensors, v[: self.inputs], ctx.settings)
        return tangent if self.outputs > 1 else tangent[0]

    def _vmap(self, info: Any, in_dims: Any, *arguments: Any) -> tuple[Any, Any]:
        tensors, settings = arguments[: self.inputs], arguments[self.inputs :]
        own = self.own_axes(settings)[self.outputs :]
        result = self.forward(*_align(tensors, in_dims[: self.inputs], own), *settings)
        return result, (0,) * self.outputs if self.outputs > 1 else 0

    def _fake_gradient(self, *arguments: Any) -> tuple[Tensor, ...]:
        inputs, wanted = arguments[self.outputs : self.outputs + self.inputs], arguments[-1]
        like = arguments[0]
        return tuple(
            like.new_empty(0) if t is None else t.new_empty(t.shape if wanted & 1 << i else (0,))
            for i, t in enumerate(inputs)
        )

    def _backward_of_gradient(self, ctx: Any, *v: Tensor) -> tuple[Tensor | None, ...]:
        d, inputs, settings, wanted = self._of_gradient(ctx)
        tangent, gradients = self._second_order(d, inputs, _only(wanted, v), settings)
        return *tangent, *gradients, *(None for _ in ctx.settings)

    def _jvp_of_gradient(self, ctx: Any, *v: Any) -> tuple[Tensor, ...]:
        d, inputs, settings, wanted = self._of_gradient(ctx)
        v_d = [torch.zeros_like(one) if t is None else t for one, t in zip(d, v, strict=False)]
        first = self.gradient(*v_d, *inputs, *settings, wanted)
        v_inputs = v[self.outputs : self.outputs + self.inputs]
        _, second = self._second_order(d, inputs, v_inputs, settings)
        return tuple(
            f + s if wanted & 1 << i and s is not None else f
            for i, (f, s) in enumerate(zip(first, second, strict=True))
        )

    def _vmap_of_gradient(self, info: Any, in_dims: Any, *arguments: Any) -> tuple[Any, Any]:
        count = self.outputs + self.inputs
        tensors, settings = arguments[:count], arguments[count:]
        # Every batch element has gradients of its own, also of what all of them share.
        batched = [
            t if t is None else (t.expand(info.batch_size, *t.shape) if at is None else t.movedim(at, 0))
            for t, at in zip(tensors, in_dims[:count], strict=True)
        ]
        gradients = self.gradient(*_align(batched, (0,) * count, self.own_axes(settings)), *settings)
        kept = _only(settings[-1], gradients)
        shaped = tuple(
            g if k is None or t is None else g.reshape(t.shape)
            for g, k, t in zip(gradients, kept, batched[self.outputs :], strict=True)
        )
        return shaped, tuple(None if k is None else 0 for k in kept)

    def _of_gradient(self, ctx: Any) -> tuple[Tensors, Tensors, Any, int]:
        saved = ctx.saved_tensors
        *settings, wanted = ctx.settings
        return saved[: self.outputs], saved[self.outputs :], settings, wanted

    def _second_order(
        self, d: Tensors, inputs: Tensors, v: Tensors, settings: Any
    ) -> tuple[tuple[Tensor, ...], list[Tensor | None]]:
        """The tangent along v, and the gradient of <d, tangent> with respect to the inputs."""
        given = [i for i, value in enumerate(inputs) if value is not None]

        def tangent_at(*values: Tensor) -> tuple[Tensor, ...]:
            filled = list(inputs)
            for i, value in zip(given, values, strict=True):
                filled[i] = value
            return self.tangent(filled, v, settings)

        pulled: Any = torch.func.vjp(tangent_at, *(inputs[i] for i in given))
        tangent, pull = pulled
        gradients: list[Tensor | None] = [None] * len(inputs)
        for i, value in zip(given, pull(tuple(d)), strict=True):
            gradients[i] = value
        return tangent, gradients


def _keep(ctx: Any, arguments: tuple[Any, ...], tensors: int) -> None:
    ctx.save_for_backward(*arguments[:tensors])
    ctx.save_for_forward(*arguments[:tensors])
    ctx.settings = tuple(arguments[tensors:])


def _only(wanted: int, tensors: Tensors) -> tuple[Any, ...]:
    return tuple(t if wanted & 1 << i else None for i, t in enumerate(tensors))


def _align(tensors: Tensors, in_dims: Sequence[int | None], own: Sequence[int]) -> list[Any]:
    """Every batched tensor with its batch axis first, and axes of size 1 behind it until the leading axes align."""
    leads = [
        0 if t is None else t.ndim - axes - (at is not None) for t, at, axes in zip(tensors, in_dims, own, strict=True)
    ]

    def align(t: Tensor | None, at: int | None, lead: int) -> Tensor | None:
        if t is None or at is None:
            return t
        moved = t.movedim(at, 0)
        return moved.reshape(moved.shape[0], *(1,) * (max(leads) - lead), *moved.shape[1:])

    return [align(t, at, lead) for t, at, lead in zip(tensors, in_dims, leads, strict=True)]
