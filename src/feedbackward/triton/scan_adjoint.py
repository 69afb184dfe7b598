"""The adjoint of a step as a program for the device: what it wants of the step is computed beside it.

A thread has its registers at hand and memory far away: of a step, backward keeps the states before it and nothing else,
and computes the rest again where the adjoint wants it. What forward wrote anyhow is read (`engine.written`).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..engine.ir import LEAVES, Graph, Program, Value, rebuild
from ..engine.transform import standalone
from ..engine.written import Written
from .emit_kernel import Before


@dataclass(frozen=True)
class Backward:
    """The adjoint and where its sequences are.

    Attributes:
        program: Its sequences are those of the step, then ``extra``, then the adjoints of the step's outputs.
        extra: An output of the step (an int), or the state before every step.
        replay: The step without outputs, where its states are computed again.
    """

    program: Program
    extra: tuple[int | Before, ...]
    replay: Program | None


def backward_of(written: Written) -> Backward:
    """The adjoint of a step for the device."""
    step = written.step
    if written.replays:
        extra = tuple(Before(i, output=False) for i in range(len(step.states)))
        return Backward(standalone(step, written.adjoint), extra, _without_outputs(step))
    return _reading(written)


def _without_outputs(step: Program) -> Program:
    return Program(step.held, step.matrices, step.sequences, step.states, (), step.after)


def _reading(written: Written) -> Backward:
    """The adjoint that finds all it wants in what forward wrote."""
    step, adj = written.step, written.adjoint
    g, extra = Graph(), list[int | Before]()
    count = len(step.sequences)

    def read(what: int | Before, rows: int) -> Value:
        if what not in extra:
            extra.append(what)
        return g.emit("sequence", rows=rows, attr=count + extra.index(what))

    def of_step(v: Value) -> Value:
        if v.op == "state":
            return read(Before(v.attr, output=True), v.rows)
        if v.op in LEAVES:
            return g.emit(v.op, rows=v.rows, attr=v.attr)
        if v in step.outputs:
            return read(step.outputs.index(v), v.rows)
        return g.emit(v.op, *(of_step(a) for a in v.args), rows=v.rows, attr=v.attr)

    reads = [v for v in adj.program.order if v.op == "forward"]
    known = {v: of_step(v.attr) for v in reads}

    def of_adjoint(v: Value) -> Value:
        if v.op == "forward":
            return known[v]
        shift = count + len(extra) if v.op == "sequence" else 0
        return g.emit(v.op, rows=v.rows, attr=v.attr + shift)

    ends = rebuild(g, (*adj.program.outputs, *adj.program.after), of_adjoint)
    outputs = len(adj.program.outputs)
    rows = [step.outputs[e].rows if isinstance(e, int) else step.states[e.state] for e in extra]
    program = Program(
        step.held,
        step.matrices,
        (*step.sequences, *rows, *adj.program.sequences),
        adj.program.states,
        ends[:outputs],
        ends[outputs:],
    )
    return Backward(program, tuple(extra), None)
