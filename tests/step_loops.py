"""The cells of `feedbackward.engine.steps` as loops in numpy, with the tensors that their programs take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import feedbackward as fb
from feedbackward.engine import steps as programs

Array = np.ndarray[Any, Any]

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
KINDS = tuple(GATES)
STRUCTURES: list[tuple[Any, int]] = [
    (fb.Dense(), 5),
    (fb.Dense(), 1),
    (fb.Banded(1, 3), 7),
    (fb.Banded(9, 0), 5),
    (fb.BlockDiagonal(3), 6),
    (fb.BlockDiagonal(5), 5),
    (fb.Diagonal(), 5),
    (fb.LowRankPlusDiagonal(2), 5),
    (fb.LowRankPlusDiagonal(1), 1),
]


def dense(structure: Any, w: Array, n: int) -> Array:
    """The matrix (n, n) of the weight of one gate, from the definition of its structure."""
    if isinstance(structure, fb.Banded):
        lower, upper = structure.widths
        inside = [(i, j) for i in range(n) for j in range(n) if -lower <= j - i <= upper]
        matrix = np.zeros((n, n), w.dtype)
        for i, j in inside:
            matrix[i, j] = w[j - i + lower, i]
        return matrix
    if isinstance(structure, fb.BlockDiagonal):
        matrix, size = np.zeros((n, n), w.dtype), n // structure.blocks
        for k, block in enumerate(w):
            matrix[k * size : (k + 1) * size, k * size : (k + 1) * size] = block
        return matrix
    if isinstance(structure, fb.Diagonal):
        return np.diag(w)
    if isinstance(structure, fb.LowRankPlusDiagonal):
        d, u, v = w[0], w[1 : 1 + structure.rank], w[1 + structure.rank :]
        return np.diag(d) + u.T @ v
    return w


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


@dataclass
class Case:
    """A program with random tensors for it, and its loop."""

    kind: str
    structure: Any
    n: int
    steps: int
    lanes: int
    seed: int = 0
    dtype: Any = np.float64
    dropped: bool = False
    masked: bool = False
    bias: bool = True
    reset_after: bool = True
    update_first: bool = False

    def __post_init__(self) -> None:
        random, gates = np.random.default_rng(self.seed), GATES[self.kind]

        def numbers(*shape: int) -> Array:
            return (0.7 * random.standard_normal(shape)).astype(self.dtype)

        self.weight = numbers(*self.structure.weight_shape(self.n, gates))
        self.u = numbers(self.steps, self.lanes, gates * self.n)
        self.there = (random.random((self.steps, self.lanes, 1)) < 0.6).astype(self.dtype)
        self.before = [numbers(self.lanes, self.n) for _ in range(2 if self.kind == "lstm" else 1)]
        self.mask, self.b_hn = numbers(self.lanes, self.n), numbers(1, self.n)
        self.has_bias = self.kind == "gru" and self.bias and self.reset_after

    @property
    def program(self) -> Any:
        options: dict[str, bool] = {"dropped": self.dropped, "masked": self.masked}
        if self.kind == "gru":
            options.update(bias=self.bias, reset_after=self.reset_after, update_first=self.update_first)
        return getattr(programs, self.kind)(self.n, self.structure, **options)

    def tensors(self, reshape: Callable[..., Any], convert: Callable[[Array], Any] = lambda a: a) -> list[Any]:
        """All that the program takes, in its order, by the arrays of a framework."""
        held = [self.mask] * self.dropped + [self.b_hn] * self.has_bias
        sequences = [self.u] + [self.there] * self.masked
        weight, gates = convert(self.weight), GATES[self.kind]
        matrices = programs.matrices(self.structure, weight, self.n, gates, reshape, reset_after=self.reset_after)
        return [*map(convert, held), *matrices, *map(convert, sequences), *map(convert, self.before)]

    def loop(self, reverse: bool = False) -> tuple[Array, list[Array]]:
        """h after every step, and the states after the last one."""
        each = np.split(self.weight, GATES[self.kind])
        w = [dense(self.structure, one, self.n) for one in each]
        states, h = list(self.before), np.empty((self.steps, self.lanes, self.n), self.dtype)
        for t in range(self.steps)[:: -1 if reverse else 1]:
            after = self._step(states, np.split(self.u[t], len(w), -1), w)
            is_there = self.there[t] != 0 if self.masked else np.ones((self.lanes, 1), bool)
            states = [np.where(is_there, new, old) for new, old in zip(after, states, strict=True)]
            h[t] = states[0]
        return h, states

    def _step(self, states: list[Array], u: list[Array], w: list[Array]) -> list[Array]:
        h = states[0]
        seen = h * self.mask if self.dropped else h
        if self.kind == "rnn":
            return [np.tanh(u[0] + seen @ w[0].T)]
        if self.kind == "lstm":
            i, f, g, o = (u_k + seen @ w_k.T for u_k, w_k in zip(u, w, strict=True))
            c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
            return [sigmoid(o) * np.tanh(c), c]
        first, second = (sigmoid(u[k] + seen @ w[k].T) for k in range(2))
        r, z = (second, first) if self.update_first else (first, second)
        if self.reset_after:
            new = np.tanh(u[2] + r * (seen @ w[2].T + (self.b_hn if self.has_bias else 0)))
        else:
            new = np.tanh(u[2] + (r * seen) @ w[2].T)
        return [z * h + (1 - z) * new]
