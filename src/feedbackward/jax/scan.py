"""The operator of every program: a recurrence given as text, over all lanes and all time.

`scan` takes the tensors that a program names, in its order: held (*lanes, rows); matrices; sequences (T, *lanes, rows),
or (*lanes, T, rows); states before (*lanes, rows); a lane axis may have size 1 where the value is the same along it.
Beside a `Settings` that is all. It gives the outputs, with time where the sequences have it, then the states after.

The adjoint of a program is a kernel too, its tangent another program. Backward reads the outputs of forward where they
are all that it wants of a step, and computes the steps again otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..engine.ir import Matrix, Program, Value
from ..engine.programs import Compiled, Tensors, compiled, differentiated, program_of, split_wanted
from ..engine.transform import tangent
from .bands import transposed
from .library import call
from .recurrence import Recurrence


class Settings(NamedTuple):
    """What is not a tensor.

    Attributes:
        text: Of an `engine.ir.Program`.
        lanes: Their axes.
        steps: T.
        reverse: Whether the last step is the first.
        lanes_first: Whether time comes after the lanes.
    """

    text: str
    lanes: tuple[int, ...]
    steps: int
    reverse: bool
    lanes_first: bool

    def over(self, rows: int) -> tuple[int, ...]:
        """The shape of a sequence or an output."""
        return (*self.lanes, self.steps, rows) if self.lanes_first else (self.steps, *self.lanes, rows)


def run(
    step: Program,
    tensors: Sequence[Any],
    lanes: Sequence[int],
    steps: int,
    reverse: bool = False,
    lanes_first: bool = False,
) -> list[Any]:
    """Outputs, then states after, of a program over its tensors."""
    return scan(*tensors, settings=Settings(step.text, tuple(lanes), steps, reverse, lanes_first))


def _outputs(inputs: Sequence[Any], settings: Settings) -> list[Any]:
    step, dtype = program_of(settings.text), inputs[0].dtype
    return [
        *(jax.ShapeDtypeStruct(settings.over(v.rows), dtype) for v in step.outputs),
        *(jax.ShapeDtypeStruct((*settings.lanes, rows), dtype) for rows in step.states),
    ]


def _counts(t: Tensors[Any]) -> list[int]:
    return [len(t.held), len(t.matrices), len(t.sequences), len(t.before)]


def _made(wanted: Sequence[bool], settings: Settings) -> Compiled:
    return compiled(settings.text, tuple(wanted), math.prod(settings.lanes))


def _forward(inputs: Sequence[Any], settings: Settings) -> list[Any]:
    made = _made([False] * len(inputs), settings)
    t = Tensors.of(made.step, inputs)
    matrices = [_as_applied(t.matrices[m.index], m) for m in made.forward.matrices]
    return call(
        "scan",
        _outputs(inputs, settings),
        *(*t.held, *matrices, *t.sequences, *t.before),
        words=made.forward_words,
        counts=[len(t.held), len(matrices), len(t.sequences), len(t.before)],
        lanes=settings.lanes,
        steps=settings.steps,
        reverse=settings.reverse,
        lanes_first=settings.lanes_first,
    )


def _kept(wanted: Sequence[bool], settings: Settings) -> tuple[int, ...]:
    return differentiated(settings.text, tuple(wanted)).kept


def _gradient(
    d: Sequence[Any], inputs: Sequence[Any], kept: Sequence[Any], wanted: Sequence[bool], settings: Settings
) -> list[Any]:
    lanes = settings.lanes
    made = _made(wanted, settings)
    step, adjoint, written = made.step, made.adjoint, made.written
    t, like = Tensors.of(step, inputs), inputs[0]
    count = len(step.outputs)
    forward = [_as_applied(t.matrices[m.index], m) for m in made.forward.matrices]
    back = [_as_applied(t.matrices[m.index], m) for m in made.backward.matrices]
    sums = [jnp.zeros((*lanes, step.held[i]), like.dtype) for i in adjoint.wanted.held]
    before = [*d[count:], *sums]
    reads = [] if written.replays else written.kept
    results = call(
        "scan_gradient",
        [
            *(jax.ShapeDtypeStruct(settings.over(rows), like.dtype) for rows in made.backward_rows),
            *(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in before),
        ],
        *(*t.held, *forward, *t.sequences, *t.before),
        *(*back, *d[:count], *before),
        *(kept if reads else ()),
        words=made.forward_words,
        counts=[len(t.held), len(forward), len(t.sequences), len(t.before)],
        adjoint_words=made.backward_words,
        adjoint_counts=[len(back), count, len(before)],
        lanes=settings.lanes,
        steps=settings.steps,
        reverse=settings.reverse,
        lanes_first=settings.lanes_first,
        kept=reads,
        trails=written.trails if reads else [],
    )
    outputs, after = results[: len(made.backward_rows)], results[len(made.backward_rows) :]
    found: dict[tuple[str, int], Any] = {("before", i): after[i] for i in range(len(step.states))}
    for n, i in enumerate(adjoint.wanted.held):
        found["held", i] = after[len(step.states) + n]
    for i, n in zip(adjoint.wanted.sequences, adjoint.sequences, strict=True):
        found["sequence", i] = outputs[n]
    stored = dict(zip(written.kept, kept, strict=True))
    for m, d_y, a in adjoint.products:
        if isinstance(a, Value) and a.op == "state":
            term = _outer_of_states(m, outputs[d_y], stored[written.trails[a.attr]], t.before[a.attr], settings)
        else:
            factor = t.sequences[a.attr] if isinstance(a, Value) else outputs[a]
            term = _outer(m, outputs[d_y], jnp.broadcast_to(factor, settings.over(m.columns)))
        found["matrix", m.index] = found["matrix", m.index] + term if ("matrix", m.index) in found else term
    names = [("held", len(t.held)), ("matrix", len(t.matrices)), ("sequence", len(t.sequences))]
    order = [(name, i) for name, n in (*names, ("before", len(t.before))) for i in range(n)]
    gradients = []
    for key, x, flag in zip(order, inputs, wanted, strict=True):
        if flag:
            gradients.append(_summed_to(found[key], x.shape) if key in found else jnp.zeros_like(x))
    return gradients


def _tangent(inputs: Sequence[Any], v: Sequence[Any], settings: Settings) -> list[Any]:
    """The program beside its tangent is a program."""
    step = program_of(settings.text)
    t, parts = Tensors.of(step, inputs), Tensors.of(step, v)
    moving = split_wanted(step, [x is not None for x in v])
    v_before = [jnp.zeros_like(x) if y is None else y for x, y in zip(t.before, parts.before, strict=True)]
    tensors = [
        *t.held, *(parts.held[i] for i in moving.held),
        *t.matrices, *(parts.matrices[i] for i in moving.matrices),
        *t.sequences, *(parts.sequences[i] for i in moving.sequences),
        *t.before, *v_before,
    ]  # fmt: skip
    both = tangent(step, moving, range(len(step.states)))
    results = scan(*tensors, settings=settings._replace(text=both.text))
    outputs, states = len(step.outputs), len(step.states)
    return [*results[outputs : 2 * outputs], *results[2 * outputs + states :]]


def _batch(recurrence: Recurrence, inputs: Sequence[Any], dims: Sequence[Any], settings: Settings) -> list[Any]:
    """The batch is one more axis of lanes; with weights of its own for every element, they go one by one."""
    step = program_of(settings.text)
    size = _size(inputs, dims)
    if any(at is not None for at in Tensors.of(step, dims).matrices):
        return _one_by_one(lambda arrays: recurrence(*arrays, settings=settings), inputs, dims)
    at, first = _lane_axis(step, settings), _lane_axis_of_time(settings)
    wide = [_widened(x, d, i) for x, d, i in zip(inputs, dims, at, strict=True)]
    results = recurrence(*wide, settings=settings._replace(lanes=(size, *settings.lanes)))
    outputs = len(step.outputs)
    return [*(jnp.moveaxis(y, first, 0) for y in results[:outputs]), *results[outputs:]]


def _batch_gradient(
    recurrence: Recurrence,
    d: Sequence[Any],
    inputs: Sequence[Any],
    kept: Sequence[Any],
    dims: Sequence[Sequence[Any]],
    wanted: Sequence[bool],
    settings: Settings,
) -> list[Any]:
    """As `_batch`; the gradient of weights is one of every element, so those go one by one, too."""
    step = program_of(settings.text)
    flat, flat_dims = [*d, *inputs, *kept], [*dims[0], *dims[1], *dims[2]]
    first, last = len(d), len(d) + len(inputs)
    matrices = zip(Tensors.of(step, dims[1]).matrices, Tensors.of(step, wanted).matrices, strict=True)
    if any(at is not None or flag for at, flag in matrices):

        def one(arrays: Sequence[Any]) -> list[Any]:
            parts = arrays[:first], arrays[first:last], arrays[last:]
            return recurrence.gradient(*parts, tuple(wanted), settings)

        return _one_by_one(one, flat, flat_dims)
    size, outputs = _size(flat, flat_dims), len(step.outputs)
    at, with_time = _lane_axis(step, settings), _lane_axis_of_time(settings)
    of_d = [with_time if i < outputs else 0 for i in range(len(d))]
    wide = [_widened(x, b, i) for x, b, i in zip(inputs, dims[1], at, strict=True)]
    for i, flag in enumerate(wanted):
        if flag and dims[1][i] is None:
            wide[i] = jnp.repeat(wide[i], size, at[i])

    def own(x: Any, b: int | None, i: int) -> Any:
        return jnp.repeat(_widened(x, b, i), size, i) if b is None else _widened(x, b, i)

    adjoints = [own(x, b, i) for x, b, i in zip(d, dims[0], of_d, strict=True)]
    written = [own(x, b, with_time) for x, b in zip(kept, dims[2], strict=True)]
    wider = settings._replace(lanes=(size, *settings.lanes))
    found = recurrence.gradient(adjoints, wide, written, tuple(wanted), wider)
    axes = [i or 0 for i, flag in zip(at, wanted, strict=True) if flag]
    return [jnp.moveaxis(g, i, 0) for g, i in zip(found, axes, strict=True)]


def _lane_axis_of_time(settings: Settings) -> int:
    """Where a sequence or an output has its first lane axis."""
    return 0 if settings.lanes_first else 1


def _lane_axis(step: Program, settings: Settings) -> list[int | None]:
    """Where every tensor has it; None for a matrix, which has none."""
    held, matrices = [0] * len(step.held), [None] * len(step.matrices)
    sequences = [_lane_axis_of_time(settings)] * len(step.sequences)
    return [*held, *matrices, *sequences, *([0] * len(step.states))]


def _widened(x: Any, at: int | None, lane: int | None) -> Any:
    """With the batch as one more lane axis, of size 1 where the tensor has none."""
    if lane is None:
        return x
    return jnp.expand_dims(x, lane) if at is None else jnp.moveaxis(x, at, lane)


def _size(arrays: Sequence[Any], dims: Sequence[Any]) -> int:
    return next(int(x.shape[at]) for x, at in zip(arrays, dims, strict=True) if at is not None)


def _one_by_one(function: Any, arrays: Sequence[Any], dims: Sequence[Any]) -> list[Any]:
    moving = [jnp.moveaxis(x, at, 0) for x, at in zip(arrays, dims, strict=True) if at is not None]

    def one(elements: Sequence[Any]) -> list[Any]:
        rest = iter(elements)
        return list(function([x if at is None else next(rest) for x, at in zip(arrays, dims, strict=True)]))

    return list(jax.lax.map(one, moving))


def _as_applied(weights: Any, m: Matrix) -> Any:
    """The matrix of a linear map, in the form that the machine reads: stored, or transposed."""
    if m.kind == "banded":
        return transposed(weights, m.upper, m.lower) if m.transposed else weights
    weights = jnp.swapaxes(weights, -1, -2) if m.transposed else weights
    return weights.reshape(m.rows, m.columns // m.groups)


def _outer(m: Matrix, d_y: Any, a: Any) -> Any:
    """The gradient of stored weights: sums of d_y a^T over steps and lanes, where there are weights."""
    if m.transposed:
        m, d_y, a = m.transpose(), a, d_y
    d_y, a = d_y.reshape(-1, m.rows), a.reshape(-1, m.columns)
    if m.kind == "banded":
        return _band_outer(m, d_y[None], a[None])
    if m.kind == "dense":
        return jnp.einsum("xm,xn->mn", d_y, a, precision=jax.lax.Precision.HIGHEST)
    d_y, a = (x.reshape(len(x), m.groups, n // m.groups) for x, n in ((d_y, m.rows), (a, m.columns)))
    return jnp.einsum("xgm,xgn->gmn", d_y, a, precision=jax.lax.Precision.HIGHEST)


def _outer_of_states(m: Matrix, d_y: Any, after: Any, before: Any, settings: Settings) -> Any:
    """The same where a is the state before every step: the one after the step before, of which bands need no copy."""
    lanes, steps, first = settings.lanes, settings.steps, settings.lanes_first
    before = jnp.broadcast_to(before, (*lanes, m.columns))
    if m.kind != "banded" or not steps:
        axis = len(lanes) if first else 0
        start = jnp.expand_dims(before, axis)
        early, late = (jax.lax.slice_in_dim(after, i, max(steps - 1, 0) + i, axis=axis) for i in (0, min(steps, 1)))
        parts = [late, start] if settings.reverse else [start, early]
        return _outer(m, d_y, jax.lax.slice_in_dim(jnp.concatenate(parts, axis), 0, steps, axis=axis))
    shape = (math.prod(lanes), steps) if first else (steps, math.prod(lanes))
    d_y, after = d_y.reshape(*shape, m.rows), after.reshape(*shape, m.columns)
    before = before.reshape(-1, m.columns)
    if m.transposed:
        return _band_outer(m.transpose(), after, d_y, before, settings, late=1)
    return _band_outer(m, d_y, after, before, settings, late=2)


def _band_outer(
    m: Matrix, d_y: Any, a: Any, before: Any = None, settings: Settings | None = None, late: int = 0
) -> Any:
    """Of factors with two axes beside their rows; the one that ``late`` names, 1 or 2, is read a step late."""
    like = jax.ShapeDtypeStruct((m.lower + m.upper + 1, m.rows), d_y.dtype)
    order = {"lanes_first": bool(settings and settings.lanes_first), "reverse": bool(settings and settings.reverse)}
    arrays = [d_y, a, *([] if before is None else [before])]
    return call("band_outer", [like], *arrays, lower=m.lower, upper=m.upper, late=late, **order)[0]


def _summed_to(x: Any, shape: tuple[int, ...]) -> Any:
    axes = tuple(i for i, (a, b) in enumerate(zip(x.shape, shape, strict=True)) if a != b)
    return x.sum(axes, keepdims=True) if axes else x


scan = Recurrence(
    "scan",
    outputs=_outputs,
    forward=_forward,
    gradient=_gradient,
    tangent=_tangent,
    batch=_batch,
    batch_gradient=_batch_gradient,
    kept=_kept,
)
