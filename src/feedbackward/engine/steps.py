"""Steps that are written as programs right away, for frameworks whose functions are not traced.

    band:   y = W x
    RNN:    h' = act(u + W h)
    GRU:    r, z = s(u_r + W_r h), s(u_z + W_z h);    h' = n + z (h - n)
            n = act(u_n + r (W_n h + b_n)), or, with the reset before the product, act(u_n + W_n (r h))
    LSTM:   i, f, o = s(u_* + W_* h);    g = act(u_g + W_g h);    c' = f c + i g;    h' = o act(c')

u is what comes from x, with its biases, for all steps at once and before the loop. A program reads, in this order:

- held: with ``dropped``, the mask (lanes, n) through which W sees h; b_n (1, n) of a GRU that has one;
- matrices: those that `matrices` cuts out of a weight;
- sequences: u (T, lanes, gates n); with ``masked``, a sequence (T, lanes, 1) of ones and zeros: a step where it is 0
  leaves everything as it was;
- states: h, and c of an LSTM (lanes, n).

Its output is h after every step. Gates are stacked in torch's order (r z n, i f g o); those of a GRU in Keras's (z r n)
with ``update_first``. Activations are names of `ACTIVATIONS`. `feedbackward.nn` traces the same cells to the same
programs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .activations import ACTIVATIONS as ACTIVATIONS
from .activations import activated
from .ir import Graph, Matrix, Program, Value

if TYPE_CHECKING:  # a structure says itself how its products are written
    from ..recurrent.structures import Structure


def band_product(rows: int, lower: int, upper: int) -> Program:
    """One product with a banded matrix, in every step of a sequence."""
    g, matrix = Graph(), Matrix(0, "banded", rows, rows, lower=lower, upper=upper)
    y = g.apply(matrix, g.emit("sequence", rows=rows, attr=0))
    return Program((), (matrix,), (rows,), (), (y,), ())


@functools.lru_cache(maxsize=256)
def rnn(
    n: int, structure: Structure, activation: str = "tanh", *, dropped: bool = False, masked: bool = False
) -> Program:
    """The step of an RNN."""
    step = _Step(n, 1, structure, dropped)
    (all_gates,) = step.matrices(1)
    h = activated(step.g, activation, step.g.emit("add", step.u, step.product(all_gates, step.seen)))
    return step.program([h], masked)


@functools.lru_cache(maxsize=256)
def gru(
    n: int,
    structure: Structure,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    *,
    bias: bool = True,
    reset_after: bool = True,
    update_first: bool = False,
    dropped: bool = False,
    masked: bool = False,
) -> Program:
    """The step of a GRU; ``reset_after`` is torch's, with a bias of its own for the product that the reset gate scales.

    Without ``bias``, or with the reset before the product, nothing but the mask is held.
    """
    step = _Step(n, 3, structure, dropped)
    g, h = step.g, step.h
    if reset_after:
        (all_gates,) = step.matrices(3)
        product = step.product(all_gates, step.seen)
        of_gates, inner = step.gates(product, 0, 2), step.gates(product, 2)
        if bias:
            inner = g.emit("add", inner, step.hold(n))
    else:
        two_gates, candidate = step.matrices(2, 1)
        of_gates = step.product(two_gates, step.seen)
    both = activated(g, recurrent_activation, g.emit("add", step.gates(step.u, 0, 2), of_gates))
    first, second = step.gates(both, 0), step.gates(both, 1)
    r, z = (second, first) if update_first else (first, second)
    inner = g.emit("mul", r, inner) if reset_after else step.product(candidate, g.emit("mul", r, step.seen))
    new = activated(g, activation, g.emit("add", step.gates(step.u, 2), inner))
    return step.program([g.emit("add", new, g.emit("mul", z, g.emit("sub", h, new)))], masked)


@functools.lru_cache(maxsize=256)
def lstm(
    n: int,
    structure: Structure,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    *,
    dropped: bool = False,
    masked: bool = False,
) -> Program:
    """The step of an LSTM."""
    step = _Step(n, 4, structure, dropped)
    (all_gates,), g = step.matrices(4), step.g
    c = step.state(1)
    total = g.emit("add", step.u, step.product(all_gates, step.seen))
    i, f, o = (activated(g, recurrent_activation, step.gates(total, k)) for k in (0, 1, 3))
    new = activated(g, activation, step.gates(total, 2))
    c = g.emit("add", g.emit("mul", f, c), g.emit("mul", i, new))
    return step.program([g.emit("mul", o, activated(g, activation, c)), c], masked)


def matrices(
    structure: Structure,
    weight: Any,
    n: int,
    gates: int,
    reshape: Callable[[Any, tuple[int, ...]], Any],
    *,
    reset_after: bool = True,
) -> list[Any]:
    """The matrices of a program, as slices of a stored weight.

    Args:
        structure: That of the program.
        weight: ``structure.weight_shape(n, gates)``, an array of any framework.
        n: Channels of the state.
        gates: 1 of an RNN, 3 of a GRU, 4 of an LSTM.
        reshape: ``(array, shape)``: the framework's function.
        reset_after: That of a GRU.
    """
    groups = (gates,) if reset_after else (2, 1)
    first, found = 0, list[Any]()
    rows = structure.weight_shape(n)[0]
    for count in groups:
        part = weight if count == gates else weight[first * rows : (first + count) * rows]
        found += structure.arrays(part, n, count, reshape)
        first += count
    return found


class _Step:
    """What all steps have in common, as far as it is written."""

    def __init__(self, n: int, gates: int, structure: Structure, dropped: bool) -> None:
        structure.check(n)
        self.n, self.structure, self.g = n, structure, Graph()
        self.held: list[int] = []
        self.stored: list[Matrix] = []
        self.u = self.g.emit("sequence", rows=gates * n, attr=0)
        self.h = self.state(0)
        self.seen = self.g.emit("mul", self.h, self.hold(n)) if dropped else self.h

    def state(self, index: int) -> Value:
        """A state before the step."""
        return self.g.emit("state", rows=self.n, attr=index)

    def hold(self, rows: int) -> Value:
        """One more value that is constant in time."""
        self.held.append(rows)
        return self.g.emit("held", rows=rows, attr=len(self.held) - 1)

    def matrices(self, *counts: int) -> list[Sequence[Matrix]]:
        """The stored matrices of so many gates each, which are multiplied by one value."""
        groups = list[Sequence[Matrix]]()
        for count in counts:
            group = self.structure.matrices(self.n, count, len(self.stored))
            self.stored += group
            groups.append(group)
        return groups

    def product(self, matrices: Sequence[Matrix], v: Value) -> Value:
        """The products of a value with the matrices of some gates."""
        return self.structure.applied(self.g, matrices, v)

    def gates(self, v: Value, first: int, count: int = 1) -> Value:
        """Some gates of all."""
        return self.g.gather(v, range(first * self.n, (first + count) * self.n))

    def program(self, after: Sequence[Value], masked: bool) -> Program:
        """The step that leaves these states, or, where the mask is 0, those before it."""
        sequences: tuple[int, ...] = (self.u.rows,)
        if masked:
            is_there = self.g.emit("sequence", rows=1, attr=1)
            after = [self.g.emit("where", is_there, v, self.state(i)) for i, v in enumerate(after)]
            sequences += (1,)
        states = (self.n,) * len(after)
        return Program(tuple(self.held), tuple(self.stored), sequences, states, (after[0],), tuple(after))
