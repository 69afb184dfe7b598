"""Products with a matrix that is stored by its diagonals, in Triton: of many vectors, and its gradient.

    y[l, i] = sum_d weight[d, i] x[l, i + d - lower],    d_weight[d, i] = sum_l d_y[l, i] x[l, i + d - lower]

What must move is x and y, once each. The product reads a tile of x from memory, and for its other diagonals from the
first-level cache. The gradient takes one diagonal at a time, and reads its tiles for each again, from the second-level
cache as long as ROWS columns of CHUNK vectors fit there; its sums over the vectors of a chunk have a fixed order.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["x_lane", "count", "n", "lower", "diagonals"])
def product(
    x, x_lane, weight, y, count, n, lower, diagonals, LANES: tl.constexpr, ROWS: tl.constexpr, DTYPE: tl.constexpr
):  # fmt: skip
    """x is (count, n) with neighboring rows, y is contiguous; a program has LANES vectors and ROWS rows."""
    blocks = tl.cdiv(n, ROWS)
    block = tl.program_id(0)
    row = (block % blocks) * ROWS + tl.arange(0, ROWS)[None, :]
    lane = (block // blocks).to(tl.int64) * LANES + tl.arange(0, LANES)[:, None]
    inside = (lane < count) & (row < n)
    total = tl.zeros([LANES, ROWS], DTYPE)
    for d in range(diagonals):
        column = row + (d - lower)
        there = (row < n) & (column >= 0) & (column < n)
        w = tl.load(weight + d * n + row, mask=there, other=0.0)
        a = tl.load(x + lane * x_lane + column, mask=there & (lane < count), other=0.0)
        total = tl.fma(tl.broadcast_to(w, [LANES, ROWS]), a, total)
    tl.store(y + lane * n + row, total, mask=inside)


@triton.jit(do_not_specialize=["count", "n", "lower", "diagonals"])
def outer(
    d_y, x, parts, count, n, lower, diagonals, CHUNK: tl.constexpr, LANES: tl.constexpr, ROWS: tl.constexpr,
    DTYPE: tl.constexpr,
):  # fmt: skip
    """The sums over every CHUNK vectors: parts (chunks, diagonals, n); d_y and x are (count, n), contiguous."""
    blocks = tl.cdiv(n, ROWS)
    block = tl.program_id(0)
    row = (block % blocks) * ROWS + tl.arange(0, ROWS)[None, :]
    d = block // blocks % diagonals
    chunk = block // blocks // diagonals
    column = row + (d - lower)
    there = (row < n) & (column >= 0) & (column < n)
    total = tl.zeros([LANES, ROWS], DTYPE)
    for k in range(0, tl.minimum(CHUNK, count - chunk * CHUNK), LANES):
        lane = chunk.to(tl.int64) * CHUNK + k + tl.arange(0, LANES)[:, None]
        given = tl.load(d_y + lane * n + row, mask=there & (lane < count), other=0.0)
        a = tl.load(x + lane * n + column, mask=there & (lane < count), other=0.0)
        total = tl.fma(given, a, total)
    sums = tl.sum(total, axis=0, keep_dims=True)
    tl.store(parts + (chunk.to(tl.int64) * diagonals + d) * n + row, sums, mask=row < n)
