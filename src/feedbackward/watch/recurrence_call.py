"""A call of `linear_recurrence`, laid out as (steps, elements of the batch, channels).

An element is a place along the first axis beside time, where there are at least two; all other axes are channels. A
decay keeps size 1 where it is shared, so that what follows from it is computed once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..filters import shapes
from ..filters.linear import linear_recurrence
from .call import as_real, bound
from .model import Axes, Limits, Weight


@dataclass(frozen=True)
class RecurrenceCall:
    """A call cut down to the steps and the elements of the batch that are shown.

    Attributes:
        weights: The decay where it is constant, and the initial state, as the user has them.
        axes: Of everything that goes in and out.
        decay: (T or 1, E or 1, C or 1), of all steps; real where it is given so.
        x: (steps, E, C); real where it is given so.
        before: (E, C), the state before the first step that is shown.
        h: (steps, E, C), what the call returned.
        start: The first step that is shown.
        total: How many steps there are.
        batch: How many elements there are; None where there is no such axis.
        lanes: The shape of the channels.
        sample_rate: In Hz, or None.
    """

    weights: tuple[Weight, ...]
    axes: tuple[Axes, ...]
    decay: Tensor
    x: Tensor
    before: Tensor
    h: Tensor
    start: int
    total: int
    batch: int | None
    lanes: tuple[int, ...]
    sample_rate: float | None

    @property
    def moves(self) -> bool:
        """Whether the decay changes in time."""
        return len(self.decay) > 1

    def decay_of_steps(self) -> Tensor:
        """The decay of the steps that are shown, (steps or 1, E or 1, C or 1), as precise as h."""
        decay = self.decay[self.start : self.start + len(self.h)] if self.moves else self.decay
        return decay.to(self.h.dtype if decay.is_complex() else self.h.real.dtype)


def of_call(args: Any, kwargs: Any, limits: Limits, rate: float | None) -> RecurrenceCall:
    """The call ``linear_recurrence(*args, **kwargs)``."""
    given = bound(linear_recurrence, args, kwargs, "fb.linear_recurrence")
    h = linear_recurrence(**given).detach()
    if rate is not None and not 0 < rate < math.inf:
        raise ValueError(f"explain: sample_rate is {rate!r}, expected a positive number in Hz")
    if not h.numel():
        raise ValueError(f"explain: h has shape {tuple(h.shape)}, expected at least one step and one channel")
    x, initial = given["x"].detach(), given.get("initial")
    decay = given["decay"]
    if not isinstance(decay, Tensor):  # as h has it: neither more precise nor less
        decay = torch.tensor(decay, dtype=h.dtype if isinstance(decay, complex) else h.real.dtype, device=x.device)
    decay = decay.detach()
    dim, shape = shapes.of_linear_recurrence(
        tuple(decay.shape),
        tuple(x.shape),
        None if initial is None else tuple(initial.shape),
        given.get("dim", -1),
        name="dim",
        broadcast=torch.broadcast_shapes,
    )
    axes = _axes(h, x, decay, initial, dim)
    h, signal = h.movedim(dim, -1), x.movedim(dim, -1).to(h.dtype)
    total, lanes = h.shape[-1], tuple(h.shape[:-1])
    if limits.start >= total:
        raise ValueError(f"explain: start is {limits.start}, but x has {total} steps")
    first = h.new_zeros(()) if initial is None else initial.detach().to(h.dtype)
    batch = lanes[0] if len(lanes) > 1 else None
    window, shown = slice(limits.start, limits.start + limits.steps), min(batch or 1, limits.elements)

    def laid(t: Tensor) -> Tensor:
        """(..., steps) as (steps, E, C)."""
        whole = t.expand(*lanes, t.shape[-1])
        return (whole if batch else whole.unsqueeze(0))[:shown].reshape(shown, -1, t.shape[-1]).permute(2, 0, 1)

    past = h[..., limits.start - 1 : limits.start] if limits.start else first.unsqueeze(-1)
    constant = shape[dim] == 1
    weights = [Weight("decay", _names(axes, "decay"), "what stays of the state", decay)] if constant else []
    if initial is not None:
        weights.append(Weight("initial", _names(axes, "initial"), "the state before the first step", initial.detach()))
    return RecurrenceCall(
        tuple(weights),
        axes,
        _shared(decay.reshape(shape).movedim(dim, -1), lanes, shown),
        laid(signal[..., window] if x.is_complex() else as_real(signal[..., window])),
        laid(past)[0],
        laid(h[..., window]),
        limits.start,
        total,
        batch,
        lanes[1:] if batch else lanes,
        rate,
    )


def _shared(decay: Tensor, lanes: tuple[int, ...], shown: int) -> Tensor:
    """(..., T or 1) as (T or 1, E or 1, C or 1)."""
    steps = decay.shape[-1]
    decay = decay.reshape(*(1,) * (len(lanes) + 1 - decay.ndim), *decay.shape)
    decay = decay if len(lanes) > 1 else decay.unsqueeze(0)
    own, channels = decay.shape[1:-1], lanes[1:] if len(lanes) > 1 else lanes
    if math.prod(own) > 1:
        decay = decay.expand(decay.shape[0], *channels, steps)
    return decay[:shown].reshape(min(decay.shape[0], shown), -1, steps).permute(2, 0, 1)


def _axes(h: Tensor, x: Tensor, decay: Tensor, initial: Tensor | None, dim: int) -> tuple[Axes, ...]:
    """What the axes of every tensor are: shapes broadcast from the right, and time is where x has it."""
    names = ["batch", *["channels"] * (h.ndim - 2)] if h.ndim > 2 else ["channels"] * (h.ndim - 1)

    def with_time(t: Tensor) -> tuple[tuple[str, int], ...]:
        inside = names[: len(names) + dim + 1] + ["time"] + names[len(names) + dim + 1 :]
        return tuple(zip(inside[len(inside) - t.ndim :], t.shape, strict=True))

    def without(t: Tensor) -> tuple[tuple[str, int], ...]:
        return tuple(zip(names[len(names) - t.ndim :], t.shape, strict=True))

    found = [Axes("x", with_time(x)), Axes("decay", with_time(decay) if decay.ndim == x.ndim else without(decay))]
    if initial is not None:
        found.append(Axes("initial", without(initial)))
    return tuple(a for a in (*found, Axes("h", with_time(h))) if a.axes)


def _names(axes: tuple[Axes, ...], tensor: str) -> tuple[str, ...]:
    return tuple(name for a in axes if a.name == tensor for name, _ in a.axes)
