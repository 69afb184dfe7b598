"""Linking segments of time: s[k+1] = F[k] s[k] + e[k], the state at every seam from what each segment leaves.

e[k] is the state at the end of segment k when it starts from zero, and F[k] (N x N) takes its starting state to its
end; e[0] starts from the true state, so that F[0] acts on zeros. Going back in time, segments are taken from the last
one and F is transposed.

F amplifies rounding errors where the recurrence is unstable. A lane is tame when all entries of every F, and of every
product that was made of them, are below LIMIT (NaN is not): `compose` leaves infinity where they are not, and the chain
of the highest level says so.

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


@triton.jit
def moderate(fine, factor, N: tl.constexpr, LIMIT: tl.constexpr):
    for i in tl.static_range(N):
        fine = fine & (tl.abs(factor[i]) < LIMIT)
    return fine


@triton.jit(do_not_specialize=COUNTS)
def chain(
    ends, factors, carry, starts, tame, lanes, segments, groups, group, pitch, apart,
    N: tl.constexpr, BACK: tl.constexpr, CARRY: tl.constexpr, HELD: tl.constexpr, LIMIT: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    # ends, starts: (N, segments, lanes); carry: (N, groups, lanes), the state at the start of each group, and without
    # one tame: (lanes,); factors: rows `pitch` apart, segments `apart` (0: one F for all).
    v = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    lane, first = v % lanes, v // lanes * group
    live = v < groups * tl.cast(lanes, tl.int64)
    row = segments * tl.cast(lanes, tl.int64)
    state = zeros(v, N, ends.dtype.element_ty)
    if CARRY:
        state = load_rows(carry + v, groups * tl.cast(lanes, tl.int64), live, N)
    fine = lane >= 0
    if HELD:
        factor = load_rows(factors + lane, pitch, live, N * N)
    for k in range(group):
        at = first + k
        inside = live & (at < segments)
        where = segments - 1 - at if BACK else at
        store_rows(starts + where * lanes + lane, row, state, inside, N)
        shift = load_rows(ends + where * lanes + lane, row, inside, N)
        if not HELD:
            factor = load_rows(factors + where * apart + lane, pitch, inside, N * N)
        state = apply(factor, state, shift, N, BACK)
        if not CARRY:
            fine = moderate(fine, factor, N * N, LIMIT)
    if not CARRY:
        tl.store(tame + lane, fine.to(tl.int8), mask=live)


@triton.jit(do_not_specialize=COUNTS)
def compose(
    ends, factors, group_ends, group_factors, lanes, segments, groups, group, pitch, apart,
    N: tl.constexpr, BACK: tl.constexpr, HELD: tl.constexpr, LIMIT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # What `chain` does, as one segment: group_ends (N, groups, lanes), group_factors (N N, groups or 1, lanes). The
    # second axis of the grid is 0 for the ends, and j + 1 for column j of the factors.
    v = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    lane, first = v % lanes, v // lanes * group
    live = v < groups * tl.cast(lanes, tl.int64)
    row = segments * tl.cast(lanes, tl.int64)
    column = tl.program_id(1) - 1
    driven = lane * 0 + column < 0
    state = ()
    for i in tl.static_range(N):
        state = state + (tl.where(column == i, tl.full(v.shape, 1.0, ends.dtype.element_ty), 0.0),)
    fine = lane >= 0
    if HELD:  # it acts beyond the last segment too, which changes what nobody reads
        factor = load_rows(factors + lane, pitch, live, N * N)
    for k in range(group):
        at = first + k
        inside = live & (at < segments)
        where = segments - 1 - at if BACK else at
        shift = load_rows(ends + where * lanes + lane, row, inside & driven, N)
        if not HELD:
            factor = load_rows(factors + where * apart + lane, pitch, inside, N * N)
        state = apply(factor, state, shift, N, BACK)
        fine = moderate(fine, factor, N * N, LIMIT)
    if column < 0:
        store_rows(group_ends + v, groups * tl.cast(lanes, tl.int64), state, live, N)
    else:
        kept = live & (first == 0) if HELD else live
        width = tl.cast(lanes, tl.int64) if HELD else groups * tl.cast(lanes, tl.int64)
        for i in tl.static_range(N):
            entry = tl.where(fine, state[i], float("inf"))
            tl.store(group_factors + (i * N + column) * width + v, entry, mask=kept)
