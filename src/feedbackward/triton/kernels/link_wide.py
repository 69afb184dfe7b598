"""`link` for many states: what a thread cannot hold of F, the threads of a program hold together, as a tile.

A program takes one group of segments of one lane. F is [M, M], M the next power of two, and one step of the chain is a
product of all its entries with the state, summed along the rows; the state goes back to where the next product wants it
by an exchange among the threads. A step is bound by the latency of these and, where every segment has an F of its own,
of loading it. Where all have the same, it stays in registers: M^2 / threads of them.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .link import COUNTS


@triton.jit
def tile_of(factors, pitch, N: tl.constexpr, M: tl.constexpr, BACK: tl.constexpr):
    # F, or its transpose.
    i = tl.arange(0, M)[:, None]
    j = tl.arange(0, M)[None, :]
    at = j * N + i if BACK else i * N + j
    return tl.load(factors + at * tl.cast(pitch, tl.int64), mask=(i < N) & (j < N), other=0.0)


@triton.jit(do_not_specialize=COUNTS)
def chain_wide(
    ends, factors, carry, starts, tame, lanes, segments, groups, group, pitch, apart,
    N: tl.constexpr, M: tl.constexpr, BACK: tl.constexpr, CARRY: tl.constexpr, HELD: tl.constexpr, LIMIT: tl.constexpr,
):  # fmt: skip
    # The arguments of `link.chain`.
    wide = tl.cast(lanes, tl.int64)
    v = tl.program_id(0).to(tl.int64)
    lane, first = v % lanes, v // lanes * group
    row = tl.arange(0, M)
    rows, there = row * (segments * wide), row < N
    state = tl.zeros([M], ends.dtype.element_ty)
    if CARRY:
        state = tl.load(carry + row * (groups * wide) + v, mask=there, other=0.0)
    if HELD:
        factor = tile_of(factors + lane, pitch, N, M, BACK)
    worst = tl.zeros([M, M], ends.dtype.element_ty)
    for k in range(tl.minimum(group, segments - first)):
        at = first + k
        where = segments - 1 - at if BACK else at
        tl.store(starts + rows + where * wide + lane, state, mask=there)
        shift = tl.load(ends + rows + where * wide + lane, mask=there, other=0.0)
        if not HELD:
            factor = tile_of(factors + where * apart + lane, pitch, N, M, BACK)
        state = shift + tl.sum(factor * state[None, :], 1)
        if not CARRY:
            worst = tl.maximum(worst, tl.abs(factor), propagate_nan=tl.PropagateNan.ALL)
    if not CARRY:
        tl.store(tame + lane, (tl.min((worst < LIMIT).to(tl.int32)) > 0).to(tl.int8))


@triton.jit(do_not_specialize=COUNTS)
def compose_wide(
    ends, factors, group_ends, group_factors, lanes, segments, groups, group, pitch, apart,
    N: tl.constexpr, M: tl.constexpr, BACK: tl.constexpr, HELD: tl.constexpr, LIMIT: tl.constexpr,
):  # fmt: skip
    # The arguments of `link.compose`, and its grid.
    wide = tl.cast(lanes, tl.int64)
    v = tl.program_id(0).to(tl.int64)
    lane, first = v % lanes, v // lanes * group
    column = tl.program_id(1) - 1
    row = tl.arange(0, M)
    rows, there = row * (segments * wide), row < N
    state = tl.where(row == column, 1.0, tl.zeros([M], ends.dtype.element_ty))
    if HELD:
        factor = tile_of(factors + lane, pitch, N, M, BACK)
    worst = tl.zeros([M, M], ends.dtype.element_ty)
    turns = tl.minimum(group, segments - first)
    if HELD:  # the first group's factor is that of all
        turns = tl.where((column >= 0) & (first > 0), 0, turns)
    for k in range(turns):
        at = first + k
        where = segments - 1 - at if BACK else at
        shift = tl.load(ends + rows + where * wide + lane, mask=there & (row * 0 + column < 0), other=0.0)
        if not HELD:
            factor = tile_of(factors + where * apart + lane, pitch, N, M, BACK)
        state = shift + tl.sum(factor * state[None, :], 1)
        worst = tl.maximum(worst, tl.abs(factor), propagate_nan=tl.PropagateNan.ALL)
    if column < 0:
        tl.store(group_ends + row * (groups * wide) + v, state, mask=there)
    else:
        fine = tl.min((worst < LIMIT).to(tl.int32)) > 0
        width = wide if HELD else groups * wide
        kept = there & (row * 0 + first == 0) if HELD else there
        entries = (row * N + column) * width + v
        tl.store(group_factors + entries, tl.where(fine, state, float("inf")), mask=kept)
