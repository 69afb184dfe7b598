"""The operators ``cascade`` and ``cascade_backward`` on a GPU.

The mathematics is in `kernels.cascade` and `kernels.cascade_adjoint`. They take and return what the CPU operators do,
as `feedbackward.ops.cascade` says. A thread has all coefficients and
states in registers, so a long cascade goes through in groups of sections, each a pass over the signal.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from .kernels import cascade as kernels
from .kernels import cascade_adjoint as adjoint_kernels
from .lanes import Layout, broadcast, joined, real, sum_over, with_time
from .launch import BLOCK, blocks, launch
from .segments import WIDEST, cut_frames, cut_held, link, pays_to_cut

STATES = 8  # of the sections that one pass takes; a section of higher order is a pass of its own
STATES_BACK = 4  # the same in backward, whose code is several times longer: compiling it takes seconds
STATES_FRAMES = 4  # the same where every segment has an F of its own: finding it is a pass for each of them
WORTH_SUMMING = 16  # lanes that share a signal: the gradients of fewer are summed outside the kernel


def forward(
    x: Tensor, b: Tensor, a: Tensor, state: Tensor | None, dim: int, hop: int, linear: bool
) -> tuple[Tensor, Tensor]:
    """y, (..., T, ...), and the state after the last sample, (..., sections, order); both contiguous."""
    after = []
    for group in _groups(x, b, a, state, dim, hop, STATES):
        call = _Call(x, *_of(group, b, a, state), dim, hop, linear)
        x, last = call.forward()
        after.append(last)
    return x, after[0] if len(after) == 1 else torch.cat(after, -2)


def backward(
    d_y: Tensor, d_after: Tensor, x: Tensor, b: Tensor, a: Tensor, state: Tensor | None,
    dim: int, hop: int, linear: bool, wanted: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """The gradients of x, b, a and state; what bit i of ``wanted`` does not ask for is empty."""
    calls = []
    signal = x
    groups = list(_groups(x, b, a, state, dim, hop, STATES_BACK))
    for i, group in enumerate(groups):
        calls.append(_Call(signal, *_of(group, b, a, state), dim, hop, linear))
        if i + 1 < len(groups):
            signal, _ = calls[-1].forward()
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for i in reversed(range(len(groups))):
        first = i == 0
        d_y, *gradients = calls[i].backward(
            d_y, d_after.narrow(-2, *groups[i]), want_x=not first or wanted & 1 > 0, parameters=wanted & 6 > 0
        )
        parts.insert(0, (gradients[0], gradients[1], gradients[2]))
    empty = x.new_empty(0), b.new_empty(0), a.new_empty(0), b.new_empty(0)
    whole = (d_y, *(torch.cat(column, -2) if len(parts) > 1 else column[0] for column in zip(*parts, strict=True)))
    return (
        whole[0] if wanted & 1 else empty[0],
        whole[1] if wanted & 2 else empty[1],
        whole[2] if wanted & 4 else empty[2],
        whole[3] if wanted & 8 and state is not None else empty[3],
    )


def _groups(
    x: Tensor, b: Tensor, a: Tensor, state: Tensor | None, dim: int, hop: int, states: int
) -> Iterator[tuple[int, int]]:
    """The first section and the number of sections of every pass."""
    if hop and max(b.shape[-3], a.shape[-3]) > 1:
        lanes = broadcast([(x, dim)], [(b, 3), (a, 3), (state, 2)]).count
        if pays_to_cut(lanes, STATES_FRAMES):
            states = min(states, STATES_FRAMES // (2 if b.is_complex() else 1))
    order = max(b.shape[-1] - 1, a.shape[-1])
    size = max(states // max(order, 1), 1)
    for first in range(0, b.shape[-2], size):
        yield first, min(size, b.shape[-2] - first)


def _of(group: tuple[int, int], b: Tensor, a: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    return b.narrow(-2, *group), a.narrow(-2, *group), None if state is None else state.narrow(-2, *group)


class _Call:
    """One pass: its lanes, how its time is cut, what it launches."""

    def __init__(
        self, x: Tensor, b: Tensor, a: Tensor, state: Tensor | None, dim: int, hop: int, linear: bool
    ) -> None:  # fmt: skip
        self.x, self.b, self.a, self.state, self.dim = x, b, a, state, dim
        own = 3 if hop else 2
        self.lanes = broadcast([(x, dim)], [(b, own), (a, own), (state, 2)])
        self.count, self.steps = self.lanes.count, x.shape[dim]
        self.sections, self.b_terms, self.a_terms = b.shape[-2], b.shape[-1], a.shape[-1]
        self.order = max(self.b_terms - 1, self.a_terms)
        self.frames = tuple(t.shape[-3] if hop else 1 for t in (b, a))
        self.linear = linear and max(self.frames) > 1
        self.own = own
        self.at = {
            "x": self.lanes.signal(x, dim),
            "b": self.lanes.value(b, own),
            "a": self.lanes.value(a, own),
            "before": self.lanes.value(b, own) if state is None else self.lanes.value(state, 2),
        }
        self.parts = self.at["b"].parts
        self.like = self.at["b"].data
        self.states = self.sections * self.order * self.parts
        self.varying = max(self.frames) > 1
        memory = self.sections * self.order
        self.forgets = self.a_terms == 0
        self.period = hop if self.varying else 1
        if self.varying:
            self.cut = cut_frames(self.count, self.steps, min(hop, max(self.steps, 1)), self.states)
        else:
            least = memory if self.forgets else 0 if self.states <= WIDEST else self.steps
            self.cut = cut_held(self.count, self.steps, least)
        self.segmented = self.cut.count > 1
        # K: how many samples a thread holds in registers; no more than a frame has.
        most = 1 << (self.cut.length.bit_length() - 1)
        self.run = min(8 if self.states <= 8 else 4 if self.states <= 16 else 1, most)
        self.run_back = min(8 if self.states <= 2 else 4 if self.states <= 4 else 2 if self.states <= 8 else 1, most)

    def forward(self) -> tuple[Tensor, Tensor]:
        y = self.x.new_empty(with_time(self.lanes.shape, self.steps, self.dim))
        self._settle(y=self.lanes.signal(y, self.dim))
        after = self._rows()
        starts, tame = self._starts() if self.segmented else (after, after)
        self._launch("values", starts, tame, after, after)
        return y, self._as_state(after)

    def backward(
        self, d_y: Tensor, d_after: Tensor, *, want_x: bool, parameters: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The gradients of x, b, a and state; those that were not asked for are of no use."""
        lanes, x, like = self.lanes, self.x, self.like
        layouts = {"y": lanes.signal(d_y, self.dim)}
        sharing = lanes.sharing(x, self.dim) if want_x and self.run_back * self.parts % 4 == 0 else 1
        shared = sharing >= WORTH_SUMMING
        d_x = walked = like
        if want_x and shared:
            shares = blocks(sharing)
            d_x = real(x.new_empty(self.count // sharing * shares, self.steps))[0]
            walked = torch.zeros_like(d_x) if self.segmented else d_x
        elif want_x:
            d_x = x.new_empty(x.shape if lanes.owns(x, self.dim) else with_time(lanes.shape, self.steps, self.dim))
            layouts["dx"] = lanes.signal(d_x, self.dim)
        self._settle(**layouts)
        d_last = self._from_state(d_after)
        d_before = self._rows()
        starts, tame = self._starts() if self.segmented and parameters else (like, like)
        d_starts = like
        if self.segmented:
            ends = self._rows(self.cut.count)
            self._adjoint(starts, d_last, ends, tame, like, like, [like] * 4, d_before, ends, "ends")
            d_starts, d_tame = self._link(ends, back=True)
            tame = d_tame if not parameters or tame is like else tame & d_tame
        terms = [self.sections * n * self.parts for n in (self.b_terms, self.b_terms, self.a_terms, self.a_terms)]
        slots = self.cut.count * self.cut.rounds
        totals = [like.new_empty(n, slots, self.count) for n in terms] if parameters else [like] * 4
        target = d_x if shared or not want_x else like
        self._adjoint(
            starts, d_last, d_starts, tame, target, walked, totals, d_before, like,
            "shared" if shared and want_x else "rows" if want_x else "nothing", parameters,
        )  # fmt: skip
        if want_x and shared:
            d_x = self._shared_gradient(d_x + walked if self.segmented else d_x, sharing)
        elif want_x:
            d_x = sum_over(d_x, x.shape)
        d_b, d_a, d_state = self.b, self.a, self.b
        if parameters:
            d_b = self._coefficients(totals[0], totals[1], self.b, self.b_terms, self.frames[0])
            d_a = self._coefficients(totals[2], totals[3], self.a, self.a_terms, self.frames[1])
        if self.state is not None:
            d_state = sum_over(self._as_state(d_before), self.state.shape)
        return d_x, d_b, d_a, d_state

    def _settle(self, **more: Layout) -> None:
        at = self.at | more
        self.merged = dict(zip(at, self.lanes.merge(*at.values()), strict=True))

    def _width(self, name: str, run: int) -> int:
        return self.merged[name].width(self.steps, self.cut.length, run) if name in self.merged else 1

    def _rows(self, *segments: int) -> Tensor:
        return self.like.new_empty(self.states, *segments, self.count)

    def _own_strides(self, name: str, tensor: Tensor, own: int) -> tuple[int, int, int]:
        strides = self.at[name].data.stride()[: tensor.ndim]
        frame = strides[-3] if own == 3 and tensor.shape[-3] > 1 else 0
        return frame, strides[-2], strides[-1]

    def _counts(self, segments: int) -> tuple[tuple[int, ...], ...]:
        state = self.b if self.state is None else self.state
        return (
            self._own_strides("b", self.b, self.own),
            self._own_strides("a", self.a, self.own),
            self._own_strides("before", state, 2),
            (self.count, segments, self.steps, self.cut.length, self.period, self.cut.rounds, *self.frames),
        )

    def _constants(self, run: int) -> dict[str, int | bool]:
        return {
            "STATE": self.state is not None, "SEGMENTED": self.segmented, "VARYING": self.varying,
            "LINEAR": self.linear,
            "S": self.sections, "N": self.order, "NB": self.b_terms, "NA": self.a_terms, "P": self.parts,
            "K": run, "V_X": self._width("x", run), "V_Y": self._width("y", run), "BLOCK": BLOCK,
        }  # fmt: skip

    def _launch(
        self, what: str, starts: Tensor, tame: Tensor, after: Tensor, ends: Tensor, segments: int | None = None
    ) -> None:
        segments = self.cut.count if segments is None else segments
        x, b, a, before, y = (self.merged[name] for name in ("x", "b", "a", "before", "y"))
        *at, counts = self._counts(segments)
        grid = (blocks(self.count * segments), self.states if what == "factors" else 1)
        constants = self._constants(self.run)
        if what == "factors":  # reads no samples: the same kernel whatever their layout
            constants |= {"V_X": 1, "V_Y": 1}
        launch(
            kernels.forward, grid, x.data, b.data, a.data, before.data, starts, tame, y.data, after, ends,
            self.lanes.sizes, x.strides, b.strides, a.strides, before.strides, y.strides, *at, x.step, y.step, *counts,
            like=x.data, PASS=what, **constants,
        )  # fmt: skip

    def _adjoint(
        self, starts: Tensor, d_last: Tensor, d_starts: Tensor, tame: Tensor, d_x: Tensor, walked: Tensor,
        totals: list[Tensor], d_before: Tensor, ends: Tensor, what: str, parameters: bool = False,
    ) -> None:  # fmt: skip
        x, b, a, before, y = (self.merged[name] for name in ("x", "b", "a", "before", "y"))
        dx = self.merged.get("dx", x)
        shared = what == "shared"
        *at, counts = self._counts(self.cut.count)
        capacity = self.cut.rounds * -(-self.cut.length // self.run_back)
        runs = self.like.new_empty(capacity, self.states, self.cut.count, self.count) if parameters else starts
        sharing = self.lanes.sharing(self.x, self.dim) if shared else 1
        programs = blocks(sharing) * (self.count // max(sharing, 1)) * self.cut.count
        grid = (programs if shared else blocks(self.count * self.cut.count),)
        launch(
            adjoint_kernels.adjoint, grid, x.data, b.data, a.data, before.data, starts, y.data, d_last, d_starts, tame,
            dx.data if what == "rows" else d_x, walked, *totals, d_before, runs, ends,
            self.lanes.sizes, x.strides, b.strides, a.strides, before.strides, y.strides, *at, dx.strides,
            x.step, y.step, dx.step, *counts, capacity, sharing,
            like=x.data, ENDS=what == "ends", PARAMETERS=parameters, D_X=what in ("rows", "shared"), SHARED=shared,
            V_DX=self._width("dx", self.run_back), **self._constants(self.run_back),
        )  # fmt: skip

    def _starts(self) -> tuple[Tensor, Tensor]:
        """The state at the start of every segment, and which lanes are tame."""
        ends = self._rows(self.cut.count)
        self._launch("ends", ends, ends, ends, ends)
        return self._link(ends, back=False)

    def _link(self, ends: Tensor, *, back: bool) -> tuple[Tensor, Tensor]:
        if self.forgets and not self.varying:  # a segment outlives the memory of the filter
            neighbor = torch.empty_like(ends)
            if back:
                neighbor[:, :-1] = ends[:, 1:]
            else:
                neighbor[:, 1:] = ends[:, :-1]
            return neighbor, ends.new_ones(self.count, dtype=torch.int8)
        return link(ends, self._factors(), back=back)

    def _factors(self) -> Tensor:
        """What a segment does to the state at its start: (states states, segments, lanes), or for one segment."""
        if self.factors is None:
            segments = self.cut.count if self.varying else 1
            factors = self.like.new_empty(self.states * self.states, segments, self.count)
            self._launch("factors", factors, factors, factors, factors, segments)
            self.factors = factors
        return self.factors

    factors: Tensor | None = None

    def _as_state(self, rows: Tensor) -> Tensor:
        """(states, lanes) as a state, (*lanes, sections, order)."""
        shaped = rows.reshape(self.sections, self.order, self.parts, *self.lanes.shape)
        return joined(shaped.movedim(2, 0)).movedim((0, 1), (-2, -1)).contiguous()

    def _from_state(self, state: Tensor) -> Tensor:
        """A state as rows, (states, lanes)."""
        data, _ = real(state.expand(*self.lanes.shape, self.sections, self.order))
        shaped = data.unsqueeze(-1) if self.parts == 1 else data
        return shaped.movedim((-3, -2, -1), (0, 1, 2)).reshape(self.states, self.count).contiguous()

    def _shared_gradient(self, rows: Tensor, sharing: int) -> Tensor:
        """The rows of dx that blocks of lanes left, as the gradient of x."""
        shaped = rows.reshape(self.count // sharing, blocks(sharing), self.steps, *rows.shape[2:]).sum(1)
        d_x = torch.view_as_complex(shaped) if self.parts == 2 else shaped
        shape: list[int] = []
        left = sharing
        for size in reversed(self.lanes.shape):
            shape.insert(0, 1 if left > 1 else size)
            left = left // size if left > 1 else 1
        return sum_over(d_x.reshape(*shape, self.steps).movedim(-1, self.dim), self.x.shape)

    def _coefficients(self, here: Tensor, following: Tensor, given: Tensor, terms: int, frames: int) -> Tensor:
        """From the sums that threads left, (terms, slots, lanes), to the gradient of b or a."""
        if not self.varying:
            by_frame = here.sum(1, keepdim=True)
        else:
            needed = -(-self.steps // self.cut.length)
            by_frame = here.new_zeros(here.shape[0], max(self.frames), self.count)
            by_frame[:, :needed] = here[:, :needed]
            if self.linear:
                last = min(needed + 1, by_frame.shape[1]) - 1  # the frame that the last samples lead to
                by_frame[:, 1:needed] += following[:, : needed - 1]
                by_frame[:, last] += following[:, needed - 1]
            if frames == 1:
                by_frame = by_frame.sum(1, keepdim=True)
        shaped = by_frame.reshape(self.sections, terms, self.parts, by_frame.shape[1], *self.lanes.shape)
        gradient = joined(shaped.movedim(2, 0)).movedim((2, 0, 1), (-3, -2, -1))
        if self.own == 2:
            gradient = gradient.squeeze(-3)
        return sum_over(gradient, given.shape)
