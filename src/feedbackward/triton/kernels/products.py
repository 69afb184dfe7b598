"""Products with matrices whose argument lies in a line of memory, in Triton.

Every lane of a program instance reads the same weights, once for all of its lanes; with one lane of 1024 rows and 17
diagonals these are 17 loads of the weights and 17 of the line, all from the first-level cache. Sums run in the order of
the columns, whatever the number of lanes.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def dense_product(
    line, weights, row, valid, ROWS: tl.constexpr, DEPTH: tl.constexpr, HEIGHT: tl.constexpr,
    LANES: tl.constexpr, WIDTH: tl.constexpr, DTYPE: tl.constexpr,
):  # fmt: skip
    """y[l, r] = sum_k weights[k, r] line[l, r // HEIGHT * DEPTH + k]: groups of HEIGHT rows and DEPTH columns.

    The weights are (DEPTH, ROWS), so that neighboring threads read neighbors.
    """
    total = tl.zeros([LANES, WIDTH], DTYPE)
    if HEIGHT == ROWS:
        for k in tl.range(0, DEPTH, loop_unroll_factor=4):
            w = tl.load(weights + k * ROWS + row, mask=valid, other=0.0)
            a = tl.load(line + k)
            total = tl.fma(tl.broadcast_to(w, [LANES, WIDTH]), tl.broadcast_to(a, [LANES, WIDTH]), total)
    else:
        start = row // HEIGHT * DEPTH
        for k in tl.range(0, DEPTH, loop_unroll_factor=4):
            w = tl.load(weights + k * ROWS + row, mask=valid, other=0.0)
            a = tl.load(line + start + k, mask=valid, other=0.0)
            total = tl.fma(tl.broadcast_to(w, [LANES, WIDTH]), tl.broadcast_to(a, [LANES, WIDTH]), total)
    return total


@triton.jit
def banded_product(
    line, weights, row, valid, ROWS: tl.constexpr, DIAGONALS: tl.constexpr, LOWER: tl.constexpr,
    LANES: tl.constexpr, WIDTH: tl.constexpr, DTYPE: tl.constexpr,
):  # fmt: skip
    """y[l, r] = sum_d weights[d, r] line[l, r + d - LOWER], where that column exists."""
    total = tl.zeros([LANES, WIDTH], DTYPE)
    for d in tl.static_range(DIAGONALS):
        column = row + (d - LOWER)
        there = valid & (column >= 0) & (column < ROWS)
        w = tl.load(weights + d * ROWS + row, mask=there, other=0.0)
        a = tl.load(line + column, mask=there, other=0.0)
        total = tl.fma(tl.broadcast_to(w, [LANES, WIDTH]), tl.broadcast_to(a, [LANES, WIDTH]), total)
    return total
