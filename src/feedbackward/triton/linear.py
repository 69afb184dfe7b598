"""The operators ``linear_recurrence`` and ``linear_recurrence_backward`` on a GPU.

The mathematics is in `kernels.linear`. They take and return what the CPU operators do, as `feedbackward.ops.linear`
says.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .kernels import linear as kernels
from .lanes import Layout, broadcast, joined, sum_over, with_time
from .launch import BLOCK, blocks, launch
from .segments import cut_held, link

RUN = 8  # samples that a thread holds in registers at a time


def forward(x: Tensor, decay: Tensor, initial: Tensor | None, dim: int) -> Tensor:
    """h, (..., T, ...), contiguous."""
    call = _Call(x, decay, initial, dim)
    h = x.new_empty(with_time(call.lanes.shape, call.steps, dim))
    call.settle(y=call.lanes.signal(h, dim))
    starts, tame = call.starts() if call.cut.count > 1 else (call.at["d"].data,) * 2
    call.forward(starts, tame, starts, starts, ends_only=False)
    return h


def backward(
    d_h: Tensor, x: Tensor, decay: Tensor, initial: Tensor | None, dim: int, wanted: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of x, decay and initial; what bit i of ``wanted`` does not ask for is empty."""
    call = _Call(x, decay, initial, dim)
    lanes, steps, count = call.lanes, call.steps, call.cut.count
    d_x, d_decay, d_initial = (t.new_empty(0) for t in (x, decay, x if initial is None else initial))
    layouts = {"y": lanes.signal(d_h, dim)}
    # A gradient is written where it belongs; that of a value which lanes share goes to a tensor for all lanes first.
    whole = with_time(lanes.shape, steps, dim)
    if wanted & 1:
        d_x = x.new_empty(x.shape if lanes.owns(x, dim) else whole)
        layouts["dx"] = lanes.signal(d_x, dim)
    if wanted & 2 and call.varying:
        d_decay = decay.new_empty(decay.shape if lanes.owns(decay, dim) else whole)
        layouts["dd"] = lanes.signal(d_decay, dim)
    call.settle(**layouts)
    like = call.at["d"].data
    totals = like.new_zeros(call.parts, count, lanes.count) if wanted & 2 and not call.varying else like
    d_before = like.new_empty(call.parts, lanes.count) if initial is not None else like
    starts, tame = call.starts() if count > 1 and wanted & 2 else (like, like)
    d_starts, d_tame = call.d_starts() if count > 1 else (like, like)
    if count > 1 and wanted & 2:
        d_tame = d_tame & tame
    call.adjoint(starts, d_starts, d_tame, totals, d_before, like, like, wanted)
    if wanted & 1:
        d_x = sum_over(d_x, x.shape)
    if wanted & 2 and call.varying:
        d_decay = sum_over(d_decay, decay.shape)
    elif wanted & 2:
        d_decay = sum_over(joined(totals.sum(1)).reshape(lanes.shape).unsqueeze(dim), decay.shape)
    if initial is not None and wanted & 4:
        d_initial = sum_over(joined(d_before).reshape(lanes.shape), initial.shape)
    return d_x, d_decay, d_initial


class _Call:
    """One call: its lanes, how its time is cut, and the layout of every tensor once `settle` has seen them all."""

    def __init__(self, x: Tensor, decay: Tensor, initial: Tensor | None, dim: int) -> None:
        self.steps = x.shape[dim]
        self.varying = decay.shape[dim] != 1
        self.lanes = broadcast([(x, dim), (decay, dim)], [(initial, 0)])
        self.cut = cut_held(self.lanes.count, self.steps)
        self.state = initial is not None
        self.at = {"x": self.lanes.signal(x, dim), "d": self.lanes.signal(decay, dim)}
        self.at["before"] = self.at["d"] if initial is None else self.lanes.value(initial, 0)
        self.parts = self.at["d"].parts

    def settle(self, **more: Layout) -> None:
        self.at |= more
        self.at = dict(zip(self.at, self.lanes.merge(*self.at.values()), strict=True))
        self.counts = (self.lanes.count, self.cut.count, self.steps, self.cut.length)
        self.grid = (blocks(self.lanes.count * self.cut.count),)

    def width(self, name: str) -> int:
        return self.at[name].width(self.steps, self.cut.length, RUN) if name in self.at else 1

    def rows(self, count: int) -> Tensor:
        return self.at["d"].data.new_empty(count, self.cut.count, self.lanes.count)

    def forward(self, starts: Tensor, tame: Tensor, ends: Tensor, factors: Tensor, *, ends_only: bool) -> None:
        x, d, before, y = (self.at[name] for name in ("x", "d", "before", "y"))
        launch(
            kernels.forward, self.grid, x.data, d.data, before.data, starts, tame, y.data, ends, factors,
            self.lanes.sizes, x.strides, d.strides, before.strides, y.strides, x.step, d.step, y.step, *self.counts,
            like=x.data, ENDS=ends_only, STATE=self.state, VARYING=self.varying, SEGMENTED=self.cut.count > 1,
            P=self.parts, K=RUN, V_X=self.width("x"), V_D=self.width("d"), V_Y=self.width("y"), BLOCK=BLOCK,
        )  # fmt: skip

    def adjoint(
        self, starts: Tensor, d_starts: Tensor, tame: Tensor, totals: Tensor, d_before: Tensor, ends: Tensor,
        factors: Tensor, wanted: int, *, ends_only: bool = False,
    ) -> None:  # fmt: skip
        x, d, before, y = (self.at[name] for name in ("x", "d", "before", "y"))
        d_x, d_d = self.at.get("dx", x), self.at.get("dd", d)
        capacity = -(-self.cut.length // RUN)
        decay = wanted & 2 > 0
        runs = d.data.new_empty(capacity, self.parts, self.cut.count, self.lanes.count) if decay else starts
        launch(
            kernels.adjoint, self.grid, x.data, d.data, before.data, starts, y.data, d_starts, tame, d_x.data,
            d_d.data if self.varying else totals, d_before, runs, ends, factors,
            self.lanes.sizes, x.strides, d.strides, before.strides, y.strides, d_x.strides, d_d.strides,
            x.step, d.step, y.step, d_x.step, d_d.step, *self.counts, capacity,
            like=x.data, ENDS=ends_only, STATE=self.state, VARYING=self.varying, SEGMENTED=self.cut.count > 1,
            DECAY=decay, D_X=wanted & 1 > 0, P=self.parts, K=RUN, V_X=self.width("x"), V_D=self.width("d"),
            V_Y=self.width("y"), V_DX=self.width("dx"), V_DD=self.width("dd"), BLOCK=BLOCK,
        )  # fmt: skip

    def starts(self) -> tuple[Tensor, Tensor]:
        """The state at the start of every segment, and which lanes are tame."""
        ends, factors = self.rows(self.parts), self.rows(self.parts)
        self.forward(ends, ends, ends, factors, ends_only=True)
        return link(ends, self._matrices(factors))

    def d_starts(self) -> tuple[Tensor, Tensor]:
        """The adjoint of the state at the end of every segment, and which lanes are tame."""
        ends, factors = self.rows(self.parts), self.rows(self.parts)
        self.adjoint(ends, ends, ends, ends, ends, ends, factors, 0, ends_only=True)
        return link(ends, self._matrices(factors), back=True)

    def _matrices(self, factors: Tensor) -> Tensor:
        """A complex factor as the real matrix that it is."""
        if self.parts == 1:
            return factors
        re, im = factors
        return torch.stack([re, -im, im, re])
