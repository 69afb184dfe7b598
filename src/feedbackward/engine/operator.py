"""The operator of every program: a recurrence given as text, over all lanes and all time.

`run` is ``scan_program(tensors, program, wanted, lanes, steps, reverse, checkpoint) -> outputs, after, saved``:

- tensors: those that the program names, in its order: held (*lanes, rows); matrices; sequences (T, *lanes, rows);
  states before (*lanes, rows). A lane axis may have size 1 where the value is the same along it.
- program: the text of an `engine.ir.Program`; wanted: for every tensor, whether its gradient may be asked for.
- outputs (T, *lanes, rows), after (*lanes, rows), and what backward wants to find again, in a form of the core's own.

First derivatives are kernels. Where all that backward wants of a step is its outputs, or states that were outputs a
step earlier, it reads those; otherwise it computes the step again, from checkpoints. For higher derivatives the adjoint
of a step is a program as good as the step itself: it reads the states as one more sequence, and runs through this same
operator.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..ops import band, device
from ..ops import library as library  # loads the operators
from ..ops.operator import is_transformed, nesting
from ..ops.product import multiply
from .ir import Matrix, Program, Value
from .programs import Tensors, compiled, differentiated, program_of, split_wanted
from .transform import Adjoint, standalone, tangent, with_states
from .written import states_before

_SETTINGS = "str program, bool[] wanted, SymInt[] lanes, SymInt steps, bool reverse, int checkpoint"
_library = torch.library.Library("feedbackward", "FRAGMENT")
_library.define(f"scan_program(Tensor[] tensors, {_SETTINGS}) -> Tensor[]")
_library.define(
    f"scan_program_backward(Tensor[] tensors, Tensor saved, Tensor[] outputs, Tensor[] d, {_SETTINGS}) -> Tensor[]"
)


_PLAIN = (Tensor, torch.nn.Parameter)
_forward_on_device = device.late("scan", "scan", "forward")
_backward_on_device = device.late("scan", "scan", "backward")


def run(
    tensors: Sequence[Tensor],
    program: str,
    wanted: Sequence[bool],
    lanes: Sequence[int],
    steps: int,
    reverse: bool,
    checkpoint: int,
) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs and states after, differentiable in every way.

    ``checkpoint`` is that of the core: 0 leaves the interval to it, -1 keeps what every step computed.
    """
    settings = (program, list(wanted), list(lanes), steps, reverse, checkpoint)
    transformed = is_transformed()
    if torch.compiler.is_compiling() and transformed:
        torch._dynamo.graph_break("feedbackward: torch.func inside a compiled function runs uncompiled")
    results: Any
    if torch.compiler.is_compiling() or any(type(t) not in _PLAIN for t in tensors):
        results = torch.ops.feedbackward.scan_program.default(list(tensors), *settings)
    elif transformed or any(wanted):
        results = _Function.apply(settings, *tensors)  # type: ignore[no-untyped-call]
    else:
        results = _forward(list(tensors), *settings)
    count = len(program_of(program).outputs)
    return list(results[:count]), list(results[count:-1])


def wanted(tensors: Sequence[Tensor]) -> list[bool]:
    """For every tensor, whether its gradient may be asked for later."""
    if is_transformed():
        return [True] * len(tensors)
    return [torch.is_grad_enabled() and t.requires_grad for t in tensors]


def _forward(tensors: list[Tensor], *settings: Any) -> list[Tensor]:
    program, wanted, lanes, steps, reverse, checkpoint = settings
    if device.takes(tensors[0]):
        return list(_forward_on_device(tensors, *settings))
    made = compiled(program, tuple(wanted), math.prod(lanes))
    t = Tensors.of(made.step, tensors)
    return torch.ops.feedbackward.scan.default(
        torch.from_numpy(made.forward_words),
        t.held,
        [as_applied(t.matrices[m.index], m) for m in made.forward.matrices],
        t.sequences,
        t.before,
        lanes,
        made.forward_rows,
        steps,
        reverse,
        checkpoint,
        any(wanted) and made.written.replays,
    )


def _backward(
    tensors: list[Tensor], saved: Tensor, kept: list[Tensor], d: list[Tensor], *settings: Any
) -> list[Tensor]:
    """The gradients of all tensors, in their order; empty where it is not wanted."""
    program, wanted, lanes, steps, reverse, checkpoint = settings
    known = differentiated(program, tuple(wanted))
    t = Tensors.of(known.step, tensors)
    outputs = len(known.step.outputs)
    nothing = t.before[0].new_empty(0) if t.before else tensors[0].new_empty(0)
    written = [nothing] * outputs
    for i, y in zip(known.kept, kept, strict=True):
        written[i] = y

    def product(m: Matrix, d_y: Tensor, a: Tensor | Value) -> Tensor:
        if isinstance(a, Tensor):
            return _outer(m, d_y, a, native=True)
        if a.op == "sequence":
            return _outer(m, d_y, t.sequences[a.attr].expand(steps, *lanes, a.rows), native=True)
        parts = states_before(written[known.trails[a.attr]], t.before[a.attr], reverse)
        (first, initial), (others, earlier) = parts
        start = _outer(m, d_y[first], initial, native=True)
        return start.add_(_outer(m, d_y[others], earlier, native=True)) if steps > 1 else start

    if device.takes(tensors[0]):
        results = _backward_on_device(tensors, saved, written, d, *settings)
        return _collect(known.step, known.adjoint, t, results, product)
    made = compiled(program, tuple(wanted), math.prod(lanes))
    results = torch.ops.feedbackward.scan_backward.default(
        torch.from_numpy(made.forward_words),
        torch.from_numpy(made.backward_words),
        t.held,
        [as_applied(t.matrices[m.index], m) for m in made.forward.matrices],
        t.sequences,
        t.before,
        saved,
        [as_applied(t.matrices[m.index], m) for m in made.backward.matrices],
        d[:outputs],
        d[outputs:] + [nothing] * len(made.adjoint.wanted.held),
        lanes,
        made.backward_rows,
        steps,
        reverse,
        checkpoint,
        [] if made.written.replays else written,
        [] if made.written.replays else made.written.trails,
    )
    return _collect(known.step, known.adjoint, t, results, product)


Product = Callable[[Matrix, Tensor, Tensor | Value], Tensor]


def _collect(
    step: Program, adj: Adjoint, t: Tensors[Tensor], results: Sequence[Tensor], product: Product
) -> list[Tensor]:
    """From what the adjoint leaves to the gradients of all tensors; ``product`` is that of the factors of a matrix."""
    wanted, count = adj.wanted, len(adj.program.outputs)
    outputs, after = results[:count], results[count:]
    held = {i: after[len(step.states) + n] for n, i in enumerate(wanted.held)}
    sequences = {i: outputs[n] for i, n in zip(wanted.sequences, adj.sequences, strict=True)}
    matrices: dict[int, Tensor] = {}
    for m, d_y, a in adj.products:
        term = product(m, outputs[d_y], outputs[a] if isinstance(a, int) else a)
        matrices[m.index] = matrices[m.index] + term if m.index in matrices else term
    gradients = []
    for given, found in ((t.held, held), (t.matrices, matrices), (t.sequences, sequences), (t.before, after)):
        for i, tensor in enumerate(given):
            if isinstance(found, dict) and i not in found:
                is_wanted = given is t.matrices and i in wanted.matrices
                gradients.append(torch.zeros_like(tensor) if is_wanted else tensor.new_empty(0))
            else:
                whole = found[i]
                gradients.append(whole if whole.shape == tensor.shape else whole.sum_to_size(tensor.shape))
    return gradients


def as_applied(weights: Tensor, m: Matrix) -> Tensor:
    """The matrix of a linear map, in the form that the machine reads: stored, or transposed."""
    if m.kind == "block":
        return (weights.mT if m.transposed else weights).reshape(m.rows, m.columns // m.groups)
    if not m.transposed:
        return weights
    if m.kind == "dense":
        return weights.mT
    return band.transposed(weights, m.upper, m.lower)


def _outer(m: Matrix, d_y: Tensor, a: Tensor, native: bool) -> Tensor:
    """The gradient of stored weights: sums of d_y a^T over all leading axes, where there are weights."""
    d_y, a = d_y.reshape(-1, m.rows), a.reshape(-1, m.columns)
    if m.transposed:
        m, d_y, a = m.transpose(), a, d_y
    if m.kind == "dense":
        return multiply(d_y.mT, a)
    if m.kind == "block":
        g = m.groups
        return torch.einsum("xgm,xgn->gmn", d_y.reshape(-1, g, m.rows // g), a.reshape(-1, g, m.columns // g))
    if native:
        return torch.ops.feedbackward.band_outer.default(d_y.contiguous(), a.contiguous(), m.lower, m.upper)
    return band.outer(d_y, a, m.lower, m.upper)


def _fake(tensors: list[Tensor], *settings: Any) -> list[Tensor]:
    program, _, lanes, steps, _, _ = settings
    step = program_of(program)
    like = tensors[-1]
    saved = torch.library.get_ctx().new_dynamic_size()
    return [
        *(like.new_empty([steps, *lanes, v.rows]) for v in step.outputs),
        *(like.new_empty([*lanes, rows]) for rows in step.states),
        like.new_empty([saved], dtype=torch.uint8),
    ]


def _fake_backward(
    tensors: list[Tensor], saved: Tensor, kept: list[Tensor], d: list[Tensor], *settings: Any
) -> list[Tensor]:
    program, wanted = settings[:2]
    step = program_of(program)
    flags = [*wanted[: len(tensors) - len(step.states)], *(True for _ in step.states)]
    return [x.new_empty(x.shape if keep else 0) for x, keep in zip(tensors, flags, strict=True)]


def _keep(ctx: Any, tensors: Sequence[Tensor], results: Sequence[Tensor], settings: Any) -> None:
    kept = differentiated(settings[0], tuple(settings[1])).kept
    ctx.save_for_backward(*tensors, results[-1], *(results[i] for i in kept))
    ctx.save_for_forward(*tensors)
    ctx.settings = tuple(settings)
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, d: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Of every tensor, from those of outputs and states after."""
    program, wanted, lanes, steps, reverse, _ = ctx.settings
    step = program_of(program)
    there = ctx.saved_tensors  # unpacked once: torch's checkpointing allows no more
    tensors, (saved, *kept) = there[: len(wanted)], there[len(wanted) :]
    if not torch.is_grad_enabled() and not is_transformed():
        nothing = tensors[0].new_empty(0)
        plain = all(type(t) in _PLAIN for t in tensors)
        backward = _backward if plain else torch.ops.feedbackward.scan_program_backward.default
        found = backward(list(tensors), saved, kept, [nothing if x is None else x for x in d], *ctx.settings)
        return [g if flag else None for g, flag in zip(found, wanted, strict=True)]
    adj = differentiated(program, tuple(wanted)).adjoint
    t = Tensors.of(step, tensors)
    like = tensors[0]
    shapes = [(steps, *lanes, v.rows) for v in step.outputs] + [(*lanes, rows) for rows in step.states]
    whole = [like.new_zeros(shape) if x is None else x for x, shape in zip(d, shapes, strict=True)]
    count = len(step.outputs)
    outputs, _ = run_again(with_states(step), tensors, lanes, steps, reverse)
    back = standalone(step, adj)
    accumulators = [like.new_zeros((1,) * len(lanes) + (step.held[i],)) for i in adj.wanted.held]
    inputs = [*t.held, *t.matrices, *t.sequences, *outputs[count:], *whole[:count], *whole[count:], *accumulators]
    results = [x for part in run_again(back, inputs, lanes, steps, not reverse) for x in part]

    def product(m: Matrix, d_y: Tensor, a: Tensor | Value) -> Tensor:
        factor = (t.sequences if a.op == "sequence" else outputs[count:])[a.attr] if isinstance(a, Value) else a
        return _outer(m, d_y, factor.expand(steps, *lanes, m.columns), native=False)

    found = _collect(step, adj, t, results, product)
    return [g if flag else None for g, flag in zip(found, wanted, strict=True)]


def run_again(
    step: Program, tensors: Sequence[Tensor], lanes: Sequence[int], steps: int, reverse: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """Run a program that was made from another one, with everything wanted."""
    return run(tensors, step.text, [torch.is_grad_enabled()] * len(tensors), lanes, steps, reverse, 0)


def _tangents(ctx: Any, v: Sequence[Tensor | None]) -> list[Tensor]:
    """Of outputs and states after, from those of the tensors."""
    program, _, lanes, steps, reverse, _ = ctx.settings
    step = program_of(program)
    tensors = list(ctx.saved_tensors[: len(v)])
    t = Tensors.of(step, tensors)
    flags = [x is not None for x in v]
    moving = split_wanted(step, flags)
    parts = Tensors.of(step, list(v))
    states = range(len(step.states))
    v_before = [torch.zeros_like(x) if y is None else y for x, y in zip(t.before, parts.before, strict=True)]
    inputs = [
        *t.held, *(parts.held[i] for i in moving.held),
        *t.matrices, *(parts.matrices[i] for i in moving.matrices),
        *t.sequences, *(parts.sequences[i] for i in moving.sequences),
        *t.before, *v_before,
    ]  # fmt: skip
    outputs, after = run_again(tangent(step, moving, states), inputs, lanes, steps, reverse)
    return [*outputs[len(step.outputs) :], *after[len(step.states) :]]


def _batched(info: Any, in_dims: Sequence[int | None], tensors: Sequence[Tensor], settings: Any) -> list[Tensor]:
    """The batch is one more axis of lanes, the first one; weights of its own for every element go one by one."""
    program, wanted, lanes, steps, reverse, checkpoint = settings
    step = program_of(program)
    t, dims = Tensors.of(step, tensors), Tensors.of(step, list(in_dims))
    if any(d is not None for d in dims.matrices):
        each = [
            [x if d is None else x.select(d, i) for x, d in zip(tensors, in_dims, strict=True)]
            for i in range(info.batch_size)
        ]
        results = [[y for part in run(one, *settings) for y in part] for one in each]
        return [torch.stack(column) for column in zip(*results, strict=True)]

    def widen(x: Tensor, d: Any, at: int) -> Tensor:
        return x.unsqueeze(at) if d is None else x.movedim(d, at)

    wide = [
        *(widen(x, d, 0) for x, d in zip(t.held, dims.held, strict=True)),
        *t.matrices,
        *(widen(x, d, 1) for x, d in zip(t.sequences, dims.sequences, strict=True)),
        *(widen(x, d, 0) for x, d in zip(t.before, dims.before, strict=True)),
    ]
    outputs, after = run(wide, program, wanted, [info.batch_size, *lanes], steps, reverse, checkpoint)
    return [*(y.movedim(1, 0) for y in outputs), *after]


class _Function(torch.autograd.Function):
    """The same operator where a transform of torch.func or forward mode is open."""

    @staticmethod
    def forward(settings: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(_forward(list(tensors), *settings))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        _keep(ctx, inputs[1:], output, inputs[0])
        ctx.mark_non_differentiable(output[-1])

    @staticmethod
    def backward(ctx: Any, *d: Tensor | None) -> tuple[Tensor | None, ...]:
        return None, *_gradients(ctx, d[:-1])

    jvp = staticmethod(nesting(lambda ctx, *v: (*_tangents(ctx, v[1:]), None)))

    @staticmethod
    def vmap(info: Any, in_dims: Any, settings: Any, *tensors: Tensor) -> Any:
        results = _batched(info, in_dims[1:], tensors, settings)
        return (*results, torch.empty(0, dtype=torch.uint8, device=tensors[0].device)), (*(0 for _ in results), None)


def _setup_native(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    _keep(ctx, inputs[0], output, inputs[1:])


def _backward_native(ctx: Any, d: Sequence[Tensor | None]) -> tuple[Any, ...]:
    # torch takes an empty list for one of tensors, and wants one back.
    return _gradients(ctx, d[:-1]), *([] if setting == [] else None for setting in ctx.settings)


def _vmap_native(info: Any, in_dims: Any, tensors: list[Tensor], *settings: Any) -> Any:
    results = _batched(info, in_dims[0], tensors, settings)
    return [*results, torch.empty(0, dtype=torch.uint8, device=tensors[0].device)], [*(0 for _ in results), None]


for _device in ("CPU", "CUDA"):
    _library.impl("scan_program", _forward, _device)
    _library.impl("scan_program_backward", _backward, _device)
torch.library.register_fake("feedbackward::scan_program", _fake, lib=_library)
torch.library.register_fake("feedbackward::scan_program_backward", _fake_backward, lib=_library)
torch.library.register_autograd(
    "feedbackward::scan_program", _backward_native, setup_context=_setup_native, lib=_library
)
torch.library.register_vmap("feedbackward::scan_program", _vmap_native, lib=_library)


# torch looks for it at every call, and takes a while to make it.
_Function.forward.__signature__ = inspect.signature(_Function.forward)  # type: ignore[attr-defined]
