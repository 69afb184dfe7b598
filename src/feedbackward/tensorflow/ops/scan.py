"""The operator of every program: a recurrence given as instructions, over a batch of lanes and all time.

`run` takes tensors in the order in which the program names them: held (lanes or 1, rows); matrices; sequences
(T, lanes, rows), or (lanes, T, rows); states before (lanes, rows). Its gradient is a kernel too, which takes the states
that forward wrote. Second derivatives are those of the same gradient written otherwise: the adjoint of a step is a
program as good as the step itself, and runs through this same operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from ...engine.ir import Matrix, Program, Value
from ...engine.programs import Compiled, Tensors, compiled, program_of
from ...engine.transform import standalone, with_states
from .diagonals import Order, outer, transposed
from .library import operators
from .recurrence import set_shape, skipped

_LANES = 32  # for how many a program is planned where their number is not known


def run(
    step: Program, tensors: Sequence[Any], reverse: bool = False, lanes_first: bool = False
) -> tuple[list[Any], list[Any]]:
    """Outputs, with time where the sequences have it, and states after (lanes, rows), differentiable to any order."""
    t, order = Tensors.of(step, tensors), Order(reverse, lanes_first)
    made = compiled(step.text, (True,) * len(tensors), _lanes(t, order))
    outputs, after = operators.feedbackward_scan(
        t.held,
        t.matrices,
        [_as_applied(t.matrices, m) for m in made.forward.matrices],
        t.sequences,
        t.before,
        N=len(step.outputs),
        program=step.text,
        words=made.forward_words.tolist(),
        output_rows=made.forward_rows,
        state_rows=list(step.states),
        **order._asdict(),
    )
    return _shaped(outputs, after, made.forward_rows, step.states, t, order)


def _kernel_gradient(
    made: Compiled, t: Tensors[Any], d: Sequence[Any], outputs: Sequence[Any], order: Order
) -> tuple[list[Any], list[Any]]:
    """What the adjoint of a step leaves: its outputs and its states after, of which the last are sums of ``held``."""
    written = made.written
    kept = [] if written.replays else list(written.kept)
    states = list(made.adjoint.program.states)
    found, after = operators.feedbackward_scan_gradient(
        t.held,
        t.matrices,
        [_as_applied(t.matrices, m) for m in made.forward.matrices],
        t.sequences,
        t.before,
        [_as_applied(t.matrices, m) for m in made.backward.matrices],
        d[: len(outputs)],
        [*d[len(outputs) :], *_sums(made, t, order)],
        [outputs[i] for i in kept],
        N=len(made.backward_rows),
        program=made.step.text,
        words=made.forward_words.tolist(),
        adjoint_words=made.backward_words.tolist(),
        kept=kept,
        trails=[] if written.replays else list(written.trails),
        wanted=[i for i, flag in enumerate(_flags(made)) if flag],
        output_rows=made.backward_rows,
        state_rows=states,
        **order._asdict(),
    )
    return _shaped(found, after, made.backward_rows, states, t, order)


def _flags(made: Compiled) -> list[bool]:
    """For every tensor of the step, whether its gradient is wanted."""
    step, wanted = made.step, made.adjoint.wanted
    parts = ((step.held, wanted.held), (step.matrices, wanted.matrices), (step.sequences, wanted.sequences))
    return [*(i in found for given, found in parts for i in range(len(given))), *(True for _ in step.states)]


@tf.RegisterGradient("FeedbackwardScan")
def _gradient(op: Any, *d: Any) -> list[Any]:
    step = program_of(op.get_attr("program").decode())
    groups = _groups(op, ("H", "M", "A", "Q", "B"))
    t = Tensors(*(groups[name] for name in ("H", "M", "Q", "B")))
    unused, stored = skipped(op), len(groups["H"]) + len(groups["M"])
    positions = [*range(stored), *range(stored + len(groups["A"]), len(op.inputs))]
    order = _order(op)
    made = compiled(step.text, tuple(i not in unused for i in positions), _lanes(t, order))
    outputs = op.outputs[: len(step.outputs)]
    found, after = _kernel_gradient(made, t, d, outputs, order)

    wanted = made.adjoint.wanted
    held = {i: _summed_to(after[len(step.states) + n], t.held[i]) for n, i in enumerate(wanted.held)}
    matrices: dict[int, Any] = {}
    for m, d_y, a in made.adjoint.products:
        term = _product(made, t, outputs, order, m, found[d_y], found[a] if isinstance(a, int) else a)
        matrices[m.index] = matrices[m.index] + term if m.index in matrices else term
    sequences = {i: found[n] for i, n in zip(wanted.sequences, made.adjoint.sequences, strict=True)}
    return [
        *(held.get(i) for i in range(len(t.held))),
        *(matrices.get(i) for i in range(len(t.matrices))),
        *(None for _ in groups["A"]),
        *(sequences.get(i) for i in range(len(t.sequences))),
        *after[: len(step.states)],
    ]


def _product(made: Compiled, t: Tensors[Any], outputs: Sequence[Any], order: Order, m: Matrix, d_y: Any, a: Any) -> Any:
    """The gradient of stored weights, of one product in every step."""
    if isinstance(a, Value) and a.op == "state":
        return _outer(m, d_y, outputs[made.written.trails[a.attr]], t.before[a.attr], order)
    return _outer(m, d_y, t.sequences[a.attr] if isinstance(a, Value) else a, None, order)


def _outer(m: Matrix, d_y: Any, a: Any, before: Any, order: Order) -> Any:
    """The gradient of stored weights: sums of d_y a^T over steps and lanes, where there are weights.

    With ``before``, a is what it was a step earlier.
    """
    late = 0 if before is None else 2
    if m.transposed:
        m, d_y, a, late = m.transpose(), a, d_y, late // 2
    if m.kind == "banded":
        return outer(d_y, a, m.lower, m.upper, before, order, late)
    d_y, a = (order.delayed(x, before) if late == i else x for i, x in ((1, d_y), (2, a)))
    groups, rows, columns = m.groups, m.rows // m.groups, m.columns // m.groups
    if m.kind == "dense":
        return tf.matmul(tf.reshape(d_y, [-1, rows]), tf.reshape(a, [-1, columns]), transpose_a=True)
    return tf.einsum("xgm,xgn->gmn", tf.reshape(d_y, [-1, groups, rows]), tf.reshape(a, [-1, groups, columns]))


def _sums(made: Compiled, t: Tensors[Any], order: Order) -> list[Any]:
    """Zeros, to which the adjoint adds the gradients of what is held."""
    lanes, dtype = tf.shape(t.sequences[0])[order.lane_axis], t.sequences[0].dtype
    return [tf.zeros([lanes, made.step.held[i]], dtype) for i in made.adjoint.wanted.held]


def _summed_to(d: Any, like: Any) -> Any:
    """A gradient (lanes, rows), summed where there is one tensor for all lanes."""
    (lanes, rows), own = tf.unstack(tf.shape(d)), tf.shape(like)[0]
    result = tf.reduce_sum(tf.reshape(d, [lanes // tf.maximum(own, 1), own, rows]), 0)
    set_shape(result, like.shape)
    return result


@tf.RegisterGradient("FeedbackwardScanGradient")
def _gradient_of_gradient(op: Any, *v: Any) -> list[Any]:
    step = program_of(op.get_attr("program").decode())
    groups = _groups(op, ("H", "M", "A", "Q", "B", "AM", "AQ", "AB", "K"))
    names = ("H", "M", "Q", "B", "AQ", "AB")
    inputs = {name: groups[name] for name in names}
    wanted = set(op.get_attr("wanted"))
    made = compiled(step.text, tuple(i in wanted for i in range(sum(len(groups[n]) for n in names[:4]))), _LANES)
    t = Tensors(*(groups[name] for name in names[:4]))
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        found, after = _program_gradient(made, t, [*groups["AQ"], *groups["AB"]], _order(op))
    gradients = tape.gradient([*found, *after], inputs, output_gradients=list(v))
    return [one for name, group in groups.items() for one in gradients.get(name, [None] * len(group))]


def _program_gradient(made: Compiled, t: Tensors[Any], d: Sequence[Any], order: Order) -> tuple[list[Any], list[Any]]:
    """The same as `_kernel_gradient`, differentiable."""
    step = made.step
    outputs, _ = run(with_states(step), [*t.held, *t.matrices, *t.sequences, *t.before], *order)
    before = outputs[len(step.outputs) :]
    back = order._replace(reverse=not order.reverse)
    return run(standalone(step, made.adjoint), [*t.held, *t.matrices, *t.sequences, *before, *d], *back)


def _as_applied(stored: Sequence[Any], m: Matrix) -> Any:
    """The matrix of a linear map, in the form that the machine reads: stored, or transposed."""
    weight = stored[m.index]
    if m.kind == "banded":
        return transposed(weight, m.upper, m.lower) if m.transposed else weight
    weight = tf.linalg.matrix_transpose(weight) if m.transposed else weight
    return weight if m.kind == "dense" else tf.reshape(weight, [m.rows, m.columns // m.groups])


def _groups(op: Any, counts: Sequence[str]) -> dict[str, list[Any]]:
    """The inputs, list by list."""
    inputs, groups = list(op.inputs), {}
    for name in counts:
        count = op.get_attr(name)
        groups[name], inputs = inputs[:count], inputs[count:]
    return groups


def _order(op: Any) -> Order:
    return Order(op.get_attr("reverse"), op.get_attr("lanes_first"))


def _lanes(t: Tensors[Any], order: Order) -> int:
    lanes = t.sequences[0].shape[order.lane_axis] if t.sequences[0].shape.rank else None
    return _LANES if lanes is None else int(lanes)


def _shaped(
    outputs: list[Any],
    after: list[Any],
    rows: Sequence[int],
    state_rows: Sequence[int],
    t: Tensors[Any],
    order: Order,
) -> tuple[list[Any], list[Any]]:
    """With what is known of their shapes."""
    shape = t.sequences[0].shape
    leading = list(shape[:2]) if shape.rank else [None, None]
    for tensor, count in zip(outputs, rows, strict=True):
        set_shape(tensor, tf.TensorShape([*leading, count]))
    for tensor, count in zip(after, state_rows, strict=True):
        set_shape(tensor, tf.TensorShape([leading[order.lane_axis], count]))
    return outputs, after
