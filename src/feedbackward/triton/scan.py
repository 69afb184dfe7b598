"""Programs on the device: the kernels of `emit_kernel`, with the tensors of a call.

Forward writes the states before every K steps where backward computes steps again, K being the root of the number of
steps. Backward leaves the gradients of what is constant in time as a sum per lane, and those of matrices as factors;
torch sums and multiplies them after the loop, always in the same order.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..engine.ir import Matrix
from ..engine.programs import Tensors, differentiated
from ..ops import band
from . import launch
from .emit_kernel import Before, Kernel, emit
from .emit_source import kernel_of
from .scan_adjoint import Backward, backward_of

_DTYPES = {torch.float32: "tl.float32", torch.float64: "tl.float64"}


@functools.lru_cache(maxsize=1024)
def forward_kernel(text: str, wanted: tuple[bool, ...], dtype: torch.dtype, axes: int) -> Kernel:
    """The kernel of a program."""
    written = differentiated(text, wanted)
    return emit(written.step, _DTYPES[dtype], axes, save=any(wanted) and written.replays)


@functools.lru_cache(maxsize=1024)
def backward_kernel(text: str, wanted: tuple[bool, ...], dtype: torch.dtype, axes: int) -> tuple[Kernel, Backward]:
    """The kernel of a program's adjoint."""
    back = backward_of(differentiated(text, wanted))
    step = differentiated(text, wanted).step
    kinds = [e if isinstance(e, Before) else None for e in back.extra]
    kinds = [None] * len(step.sequences) + kinds + [None] * len(step.outputs)
    return emit(back.program, _DTYPES[dtype], axes, kinds=kinds, replay=back.replay, backward=True), back


def every(steps: int, checkpoint: int) -> int:
    """Steps from one checkpoint to the next; ``checkpoint`` is 0 for a choice of ours, -1 to keep every step."""
    return max(1, math.isqrt(max(steps - 1, 0)) + 1 if checkpoint == 0 else checkpoint)


def forward(tensors: Sequence[Tensor], *settings: Any) -> list[Tensor]:
    """Outputs, states after, and the checkpoints as bytes: what ``feedbackward::scan_program`` returns."""
    program, wanted, lanes, steps, reverse, checkpoint = settings
    written = differentiated(program, tuple(wanted))
    t = Tensors.of(written.step, tensors)
    call = _Call(lanes, steps, reverse, tensors[0], every(steps, checkpoint))
    for kind, group in (("held", t.held), ("sequence", t.sequences), ("state", t.before)):
        call.give(kind, group)
    outputs = call.fresh("output", [(steps, *lanes, v.rows) for v in written.step.outputs])
    after = call.fresh("after", [(*lanes, rows) for rows in written.step.states])
    saved = tensors[0].new_empty(0)
    if any(wanted) and written.replays:
        saved = tensors[0].new_empty(-(-steps // call.every) * math.prod(lanes) * sum(written.step.states))
        call.arguments["checkpoints", ""] = saved
    call.run(lambda axes: forward_kernel(program, tuple(wanted), tensors[0].dtype, axes), t.matrices)
    return [*outputs, *after, saved.view(torch.uint8)]


def backward(
    tensors: Sequence[Tensor], saved: Tensor, written_outputs: Sequence[Tensor], d: Sequence[Tensor], *settings: Any
) -> list[Tensor]:
    """What the adjoint of a program leaves: its outputs, then its states.

    Args:
        tensors: Those of forward.
        saved: The checkpoints.
        written_outputs: The outputs that backward reads, each in its place; the others empty.
        d: The adjoints of the outputs and of the states after; empty ones are zero.
        settings: Those of forward.
    """
    program, wanted, lanes, steps, reverse, checkpoint = settings
    written = differentiated(program, tuple(wanted))
    step, like = written.step, tensors[0]
    t = Tensors.of(step, tensors)
    call = _Call(lanes, steps, reverse, like, every(steps, checkpoint))
    zero = like.new_zeros(1)
    shapes = [(steps, *lanes, v.rows) for v in step.outputs] + [(*lanes, rows) for rows in step.states]
    d = [x if x.numel() else zero.expand(shape) for x, shape in zip(d, shapes, strict=True)]
    _, back = backward_kernel(program, tuple(wanted), like.dtype, 1)

    def tensor(e: int | Before) -> Tensor:
        if isinstance(e, int):
            return written_outputs[e]
        return written_outputs[written.trails[e.state]] if e.output else zero

    extra = [tensor(e) for e in back.extra]
    call.give("held", t.held)
    call.give("sequence", [*t.sequences, *extra, *d[: len(step.outputs)]])
    call.give("before", t.before)
    sums = [zero.expand((*lanes, step.held[i])) for i in written.adjoint.wanted.held]
    call.give("state", [*d[len(step.outputs) :], *sums])
    outputs = call.fresh("output", [(steps, *lanes, v.rows) for v in back.program.outputs])
    after = call.fresh("after", [(*lanes, rows) for rows in back.program.states])
    if back.replay is not None:
        call.arguments["checkpoints", ""] = saved.view(like.dtype)
        size = min(call.every, steps) * math.prod(lanes) * sum(step.states)
        call.arguments["kept", ""] = like.new_empty(size)
    call.run(lambda axes: backward_kernel(program, tuple(wanted), like.dtype, axes)[0], t.matrices)
    return [*outputs, *after]


class _Call:
    """The arguments of one launch."""

    def __init__(self, lanes: Sequence[int], steps: int, reverse: bool, like: Tensor, every: int) -> None:
        self.lanes, self.steps, self.reverse, self.like, self.every = list(lanes), steps, reverse, like, every
        self.arguments: dict[tuple[str, Any], Tensor] = {}
        self.strided: dict[tuple[str, int], tuple[int, ...]] = {}

    def give(self, kind: str, tensors: Sequence[Tensor]) -> None:
        """Tensors of (time, *lanes, rows), or without time, which broadcast over lanes."""
        for i, x in enumerate(tensors):
            self.arguments[kind, i] = x
            if x.ndim == len(self.lanes) + 1 + (kind == "sequence"):
                sizes, strides = x.shape[-1 - len(self.lanes) : -1], x.stride()[-1 - len(self.lanes) : -1]
                self.strided[kind, i] = tuple(0 if n == 1 else s for n, s in zip(sizes, strides, strict=True))

    def fresh(self, kind: str, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
        """Tensors to be written."""
        made = [self.like.new_empty(tuple(shape)) for shape in shapes]
        self.arguments.update({(kind, i): x for i, x in enumerate(made)})
        return made

    def run(self, kernel: Any, matrices: Sequence[Tensor]) -> None:
        """Launch, over axes of lanes that are merged wherever all tensors step through them evenly."""
        if math.prod(self.lanes) == 0:
            return
        sizes, strides = merged(self.lanes, self.strided)
        made: Kernel = kernel(len(sizes))
        arguments: list[Any] = []
        for key in made.arguments:
            x = self.arguments[key]
            arguments.append(x)
            if key in self.strided:
                arguments += [x.stride(0)] if key[0] == "sequence" else []
                arguments += [x.stride(-1), *strides[key]]
        arguments += [_laid_out(matrices[m.index], m) for m in made.matrices]
        if made.table:
            arguments.append(_table(made.table, self.like.device))
        grid = -(-math.prod(self.lanes) // made.lanes)
        if made.line_size:
            arguments.append(self.like.new_zeros(grid * 2 * made.line_size))  # for the margins
        first, direction = (self.steps - 1, -1) if self.reverse else (0, 1)
        arguments += [self.steps, self.every, first, direction, math.prod(self.lanes), *sizes[1:]]
        with launch.guard(self.like.device):  # the source says what is fused, as on the CPU
            launch.run(kernel_of(made.text), (grid,), arguments, {}, made.warps, fused=False)


def merged(
    lanes: Sequence[int], strided: dict[tuple[str, int], tuple[int, ...]]
) -> tuple[list[int], dict[tuple[str, int], list[int]]]:
    """Axes of lanes, neighbors put together where every tensor allows it, and the strides along them; at least one."""
    sizes, strides = [1], {key: [0] for key in strided}
    for a, size in enumerate(lanes):
        if size == 1:
            continue
        if sizes == [1] or any(own[-1] != strided[key][a] * size for key, own in strides.items()):
            if sizes == [1]:
                sizes, strides = [], {key: [] for key in strided}
            sizes.append(size)
            for key, own in strides.items():
                own.append(strided[key][a])
        else:
            sizes[-1] *= size
            for key, own in strides.items():
                own[-1] = strided[key][a]
    return sizes, strides


@functools.lru_cache(maxsize=256)
def _table(rows: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.tensor(rows, dtype=torch.int32, device=device)


def _laid_out(weights: Tensor, m: Matrix) -> Tensor:
    """The weights of a linear map so that neighboring rows of the result are neighbors: by diagonals, or by columns."""
    if m.kind == "banded":
        return (band.transposed(weights, m.upper, m.lower) if m.transposed else weights).contiguous()
    if m.kind == "block":
        applied = (weights.mT if m.transposed else weights).reshape(m.rows, m.columns // m.groups)
    else:
        applied = weights.mT if m.transposed else weights
    return applied.mT.contiguous()
