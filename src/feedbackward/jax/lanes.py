"""A batch of recurrences is one recurrence with one more axis of lanes, the first one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from .recurrence import Recurrence


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that all of them broadcast to."""
    return tuple(jnp.broadcast_shapes(*shapes))


def batch(own_axes: Callable[[Any], Sequence[int]]) -> dict[str, Callable[..., Any]]:
    """The rules ``batch`` and ``batch_gradient`` of a `Recurrence` whose arrays broadcast by their leading axes.

    Args:
        own_axes: ``(settings)``: how many axes of its own, beyond the leading ones, every output and every input has.
    """

    def forward(recurrence: Recurrence, inputs: Sequence[Any], dims: Sequence[Any], settings: Any) -> list[Any]:
        own = own_axes(settings)[-len(inputs) :]
        return recurrence(*_aligned(inputs, dims, own), settings=settings)

    def gradient(
        recurrence: Recurrence,
        d: Sequence[Any],
        inputs: Sequence[Any],
        kept: Sequence[Any],
        dims: Sequence[Sequence[Any]],
        wanted: Sequence[bool],
        settings: Any,
    ) -> list[Any]:
        size = next(x.shape[at] for x, at in zip([*d, *inputs], [*dims[0], *dims[1]], strict=True) if at is not None)
        whole, at = list(inputs), list(dims[1])
        for i, (x, flag) in enumerate(zip(inputs, wanted, strict=True)):
            if flag and at[i] is None:  # every element of the batch has a gradient of its own
                whole[i], at[i] = jnp.broadcast_to(x, (size, *x.shape)), 0
        arrays = [
            x if b is not None else jnp.broadcast_to(x, (size, *x.shape)) for x, b in zip(d, dims[0], strict=True)
        ]
        of_d = [0 if b is None else b for b in dims[0]]
        aligned = _aligned([*arrays, *whole], [*of_d, *at], own_axes(settings))
        found = recurrence.gradient(aligned[: len(d)], aligned[len(d) :], kept, tuple(wanted), settings)
        shapes = [
            (size, *(x.shape[:b] + x.shape[b + 1 :])) for x, b, flag in zip(whole, at, wanted, strict=True) if flag
        ]
        return [g.reshape(shape) for g, shape in zip(found, shapes, strict=True)]

    return {"batch": forward, "batch_gradient": gradient}


def _aligned(arrays: Sequence[Any], dims: Sequence[Any], own: Sequence[int]) -> list[Any]:
    """Every batched array with its batch first, and axes of size 1 behind it until the leading axes align."""
    leads = [
        0 if x is None else x.ndim - axes - (at is not None) for x, at, axes in zip(arrays, dims, own, strict=True)
    ]

    def align(x: Any, at: int | None, lead: int) -> Any:
        if x is None or at is None:
            return x
        moved = jnp.moveaxis(x, at, 0)
        return moved.reshape(moved.shape[0], *(1,) * (max(leads) - lead), *moved.shape[1:])

    return [align(x, at, lead) for x, at, lead in zip(arrays, dims, leads, strict=True)]
