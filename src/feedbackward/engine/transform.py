"""Programs from programs: the adjoint of a step, and its tangent.

    step:     (s', y)  = f(s, x; p)                          forward in time
    adjoint:  (ds, dx, dp += ...) = f'(s, x; p)^T (ds', dy)  back in time, with dp as one more state
    tangent:  (vs', vy) = f'(s, x; p) (vs, vx; vp)           forward in time, beside the step itself

Gradients of matrices are not summed up step by step: the adjoint writes both factors, dy and a of each product y = W a,
and one product of all steps and lanes follows after the loop. A factor a that somebody has already is not written: a
sequence, or a state before the step where the state after it is an output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .ir import LEAVES, Graph, Matrix, Program, Value, rebuild, topological
from .rules import add, pull, push


@dataclass(frozen=True)
class Wanted:
    """Which gradients an adjoint finds, besides those of the states: indices."""

    held: tuple[int, ...]
    matrices: tuple[int, ...]
    sequences: tuple[int, ...]


@dataclass(frozen=True)
class Adjoint:
    """The adjoint of a step.

    Attributes:
        program: Reads the adjoints of the outputs as sequences and of the states after as states; its leaves of kind
            ``forward`` are values of the step. Its states are those of the step, then the gradients of ``wanted.held``.
        sequences: For every one of ``wanted.sequences``, which output is its gradient.
        products: For every product with a matrix that is wanted: the matrix as it was applied, and the factors of its
            gradient: which output is dy, and a as an output or as a leaf of the step.
    """

    program: Program
    wanted: Wanted
    sequences: tuple[int, ...]
    products: tuple[tuple[Matrix, int, int | Value], ...]


def trails(step: Program) -> tuple[int | None, ...]:
    """For every state, the output that it is after the step."""
    return tuple(step.outputs.index(v) if v in step.outputs else None for v in step.after)


def adjoint(step: Program, wanted: Wanted) -> Adjoint:
    """The adjoint of a step, for the gradients that are wanted."""
    g = Graph()
    here: dict[Value, Value] = {}  # a value of the step, in the adjoint

    def primal(v: Value) -> Value:
        if v not in here:
            if v.op == "constant":
                here[v] = g.constant(v.attr)
            else:
                here[v] = g.emit("forward", rows=v.rows, attr=v)
        return here[v]

    moving = _moving(step, wanted)
    d: dict[Value, Value] = {}

    def receive(v: Value, contribution: Value) -> None:
        if v in moving:
            d[v] = add(g, d[v], contribution) if v in d else contribution

    for i, value in enumerate(step.outputs):
        receive(value, g.emit("sequence", rows=value.rows, attr=i))
    for i, value in enumerate(step.after):
        receive(value, g.emit("state", rows=value.rows, attr=i))
    factors: list[tuple[Matrix, Value, Value]] = []
    for v in reversed(step.order):
        if v.op in LEAVES or v not in d:
            continue
        there = Value(v.op, tuple(primal(a) for a in v.args), v.rows, v.attr)
        here[there] = primal(v)
        for a, contribution in zip(v.args, pull(_Seen(g, there, primal(v)), there, d[v]), strict=True):
            if contribution is not None:
                receive(a, contribution)
        if v.op == "matrix" and v.attr.index in wanted.matrices:
            factors.append((v.attr, d[v], primal(v.args[0])))

    def gradient(op: str, index: int, rows: int) -> Value:
        found = [d[v] for v in d if v.op == op and v.attr == index]
        return found[0] if found else g.widen(g.constant(0.0), rows)

    sums = []
    for n, i in enumerate(wanted.held):
        so_far = g.emit("state", rows=step.held[i], attr=len(step.states) + n)
        sums.append(g.emit("add", so_far, gradient("held", i, step.held[i])))
    outputs: dict[Value, int] = {}

    def output(v: Value) -> int:
        return outputs.setdefault(v, len(outputs))

    sequences = tuple(output(gradient("sequence", i, step.sequences[i])) for i in wanted.sequences)
    trail = trails(step)

    def factor(a: Value) -> int | Value:
        leaf = a.attr if a.op == "forward" else a
        known = leaf.op == "sequence" or (leaf.op == "state" and trail[leaf.attr] is not None)
        return leaf if a.op == "forward" and known else output(a)

    products = tuple((m, output(d_y), factor(a)) for m, d_y, a in factors)
    program = Program(
        held=(),
        matrices=step.matrices,
        sequences=tuple(v.rows for v in step.outputs),
        states=step.states + tuple(step.held[i] for i in wanted.held),
        outputs=tuple(outputs),
        after=(*(gradient("state", i, rows) for i, rows in enumerate(step.states)), *sums),
    )
    return Adjoint(program, wanted, sequences, products)


class _Seen(Graph):
    """A graph in which the value that is being differentiated is known already: its rule may use the result itself."""

    def __init__(self, g: Graph, value: Value, result: Value) -> None:
        super().__init__(g.known)
        self.value, self.result = value, result

    def emit(self, op: str, *args: Value, rows: int | None = None, attr: object = None) -> Value:
        args = tuple(self.result if a is self.value else a for a in args)
        return super().emit(op, *args, rows=rows, attr=attr)


def _moving(step: Program, wanted: Wanted) -> set[Value]:
    """What depends on something whose gradient is wanted."""
    moving: set[Value] = set()
    for v in step.order:
        if (
            v.op == "state"
            or (v.op == "held" and v.attr in wanted.held)
            or (v.op == "sequence" and v.attr in wanted.sequences)
            or (v.op == "matrix" and v.attr.index in wanted.matrices)
            or any(a in moving for a in v.args)
        ):
            moving.add(v)
    return moving


def standalone(step: Program, adj: Adjoint) -> Program:
    """The adjoint as a program of its own.

    It reads the step's held values and matrices, and as sequences: the step's sequences, the states before every step,
    the adjoints of the outputs. What the step computed is computed again.
    """
    g = Graph()
    count = len(step.sequences)

    def of_step(v: Value) -> Value:
        if v.op == "state":
            return g.emit("sequence", rows=v.rows, attr=count + v.attr)
        return g.emit(v.op, rows=v.rows, attr=v.attr)

    def of_adjoint(v: Value) -> Value:
        if v.op == "forward":
            return rebuild(g, [v.attr], of_step)[0]
        if v.op == "sequence":
            return g.emit("sequence", rows=v.rows, attr=count + len(step.states) + v.attr)
        return g.emit(v.op, rows=v.rows, attr=v.attr)

    ends = rebuild(g, (*adj.program.outputs, *adj.program.after), of_adjoint)
    outputs = len(adj.program.outputs)
    return Program(
        step.held,
        step.matrices,
        step.sequences + step.states + adj.program.sequences,
        adj.program.states,
        ends[:outputs],
        ends[outputs:],
    )


def with_states(step: Program) -> Program:
    """The step that also writes the states before it, after its own outputs."""
    g = Graph()
    ends = rebuild(g, (*step.outputs, *step.after), lambda v: g.emit(v.op, rows=v.rows, attr=v.attr))
    before = tuple(g.emit("state", rows=rows, attr=i) for i, rows in enumerate(step.states))
    n = len(step.outputs)
    return Program(step.held, step.matrices, step.sequences, step.states, ends[:n] + before, ends[n:])


def tangent(step: Program, moving: Wanted, states: Sequence[int]) -> Program:
    """The step beside its tangent.

    After the step's own leaves come the tangents of those in ``moving``, in its order, and of ``states``, which is
    closed here over what they reach: all states have a tangent when one has. Outputs and states after are those of the
    step, then their tangents.
    """
    g = Graph()
    ends = rebuild(g, (*step.outputs, *step.after), lambda v: g.emit(v.op, rows=v.rows, attr=v.attr))
    first = {
        "held": (len(step.held), moving.held),
        "sequence": (len(step.sequences), moving.sequences),
        "state": (len(step.states), tuple(states)),
    }
    v: dict[Value, Value | None] = {}
    for value in topological(ends):
        if value.op in LEAVES:
            start, indices = first.get(value.op, (0, ()))
            is_moving = value.op != "constant" and value.attr in indices
            v[value] = g.emit(value.op, rows=value.rows, attr=start + indices.index(value.attr)) if is_moving else None
            continue
        v[value] = push(g, value, [v[a] for a in value.args])
        if value.op == "matrix" and value.attr.index in moving.matrices:
            m = value.attr
            index = len(step.matrices) + moving.matrices.index(m.index)
            term = g.apply(Matrix(**{**vars(m), "index": index}), value.args[0])
            so_far = v[value]
            v[value] = term if so_far is None else add(g, so_far, term)

    def of(value: Value) -> Value:
        return g.widen(v[value] or g.constant(0.0), value.rows)

    n = len(step.outputs)
    return Program(
        step.held + tuple(step.held[i] for i in moving.held),
        step.matrices
        + tuple(
            Matrix(**{**vars(step.matrices[i]), "index": len(step.matrices) + k}) for k, i in enumerate(moving.matrices)
        ),
        step.sequences + tuple(step.sequences[i] for i in moving.sequences),
        step.states + tuple(step.states[i] for i in states),
        ends[:n] + tuple(of(e) for e in ends[:n]),
        ends[n:] + tuple(of(ends[n + i]) for i in states),
    )
