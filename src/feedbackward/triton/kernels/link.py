"""Linking segments of time: s[k+1] = F[k] s[k] + e[k], the state at every seam from what each segment leaves.

e[k] is the state at the end of segment k when it starts from zero, and F[k] (N x N) takes its starting state to its
end; e[0] starts from the true state, so that F[0] does not act. Going back in time, segments are taken from the last
one and F is transposed.

A thread takes one group of segments of one lane after the other. Many segments are linked in levels: `compose` makes a
group into one segment, and `chain` goes through each group from the state that the level above found. Both are bound by
the latency of their loads, (N^2 + N) values per segment and lane; they move 1/length of what the signals take.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .steps import load_rows, store_rows, zeros

COUNTS = ["lanes", "segments", "groups", "group", "pitch", "apart"]


@triton.jit
def apply(factor, state, shift, N: tl.constexpr, BACK: tl.constexpr):
    # F state + shift, or with the transpose of F.
    result = ()
    for i in tl.static_range(N):
        total = shift[i]
        for j in tl.static_range(N):
            total += (factor[j * N + i] if BACK else factor[i * N + j]) * state[j]
        result = result + (total,)
    return result


@triton.jit(do_not_specialize=COUNTS)
def chain(
    ends, factors, carry, starts, lanes, segments, groups, group, pitch, apart,
    N: tl.constexpr, BACK: tl.constexpr, CARRY: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # ends, starts: (N, segments, lanes); carry: (N, groups, lanes), the state at the start of each group;
    # factors: rows `pitch` apart, segments `apart` (0: one F for all).
    v = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    lane, first = v % lanes, v // lanes * group
    live = v < groups * tl.cast(lanes, tl.int64)
    row = segments * tl.cast(lanes, tl.int64)
    state = zeros(v, N, ends.dtype.element_ty)
    if CARRY:
        state = load_rows(carry + v, groups * tl.cast(lanes, tl.int64), live, N)
    for k in range(group):
        at = first + k
        inside = live & (at < segments)
        where = segments - 1 - at if BACK else at
        store_rows(starts + where * lanes + lane, row, state, inside, N)
        shift = load_rows(ends + where * lanes + lane, row, inside, N)
        factor = load_rows(factors + where * apart + lane, pitch, inside & (at > 0), N * N)
        state = apply(factor, state, shift, N, BACK)


@triton.jit(do_not_specialize=COUNTS)
def compose(
    ends, factors, group_ends, group_factors, lanes, segments, groups, group, pitch, apart,
    N: tl.constexpr, BACK: tl.constexpr, HELD: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # What `chain` does, as one segment: group_ends (N, groups, lanes), group_factors (N N, groups or 1, lanes).
    v = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    lane, first = v % lanes, v // lanes * group
    live = v < groups * tl.cast(lanes, tl.int64)
    row = segments * tl.cast(lanes, tl.int64)
    dtype: tl.constexpr = ends.dtype.element_ty
    state = zeros(v, N, dtype)
    columns = ()
    for j in tl.static_range(N):
        for i in tl.static_range(N):
            columns = columns + (tl.full(v.shape, 1.0 if i == j else 0.0, dtype),)
    for k in range(group):
        at = first + k
        inside = live & (at < segments)
        where = segments - 1 - at if BACK else at
        shift = load_rows(ends + where * lanes + lane, row, inside, N)
        factor = load_rows(factors + where * apart + lane, pitch, inside, N * N)
        state = apply(factor, state, shift, N, BACK)
        moved = ()
        for j in tl.static_range(N):
            column = ()
            for i in tl.static_range(N):
                column = column + (columns[j * N + i],)
            moved = moved + apply(factor, column, zeros(v, N, dtype), N, BACK)
        columns = moved
    store_rows(group_ends + v, groups * tl.cast(lanes, tl.int64), state, live, N)
    kept = live & (first == 0) if HELD else live
    width = lanes if HELD else groups * tl.cast(lanes, tl.int64)
    for j in tl.static_range(N):
        for i in tl.static_range(N):
            tl.store(group_factors + (i * N + j) * tl.cast(width, tl.int64) + v, columns[j * N + i], mask=kept)
