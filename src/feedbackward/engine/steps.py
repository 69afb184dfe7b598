"""Steps that are written as programs right away, for frameworks whose functions are not traced.

    band:      y = W x
    band RNN:  h' = act(u + W h),    u = W_ih x + b_ih + b_hh for all steps at once, before the loop

W is banded, matrix 0 of the program; the sequence is 0 and so is the state. `feedbackward.nn.BandRNN` is traced to the
same programs.
"""

from __future__ import annotations

from .ir import Graph, Matrix, Program, Value

NONLINEARITIES = ("tanh", "relu")


def band_product(rows: int, lower: int, upper: int) -> Program:
    """One product with a banded matrix, in every step of a sequence."""
    g, matrix = Graph(), Matrix(0, "banded", rows, rows, lower=lower, upper=upper)
    y = g.apply(matrix, g.emit("sequence", rows=rows, attr=0))
    return Program((), (matrix,), (rows,), (), (y,), ())


def band_rnn(rows: int, lower: int, upper: int, nonlinearity: str) -> Program:
    """The step of a recurrent layer with a banded matrix; its output is the state after it.

    Args:
        rows: Channels of the state.
        lower: Diagonals below the main one.
        upper: Diagonals above it.
        nonlinearity: One of `NONLINEARITIES`.
    """
    g, matrix = Graph(), Matrix(0, "banded", rows, rows, lower=lower, upper=upper)
    u, h = g.emit("sequence", rows=rows, attr=0), g.emit("state", rows=rows, attr=0)
    after = _activated(g, g.emit("add", u, g.apply(matrix, h)), nonlinearity)
    return Program((), (matrix,), (rows,), (rows,), (after,), (after,))


def _activated(g: Graph, v: Value, nonlinearity: str) -> Value:
    if nonlinearity == "tanh":
        return g.emit("tanh", v)
    zero = g.constant(0.0)
    return g.emit("where", g.emit("le", v, zero), zero, v)  # NaN stays, and the slope at 0 is 0, as in torch
