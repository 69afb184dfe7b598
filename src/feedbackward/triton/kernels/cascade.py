"""Sections of transposed direct form II in series.

Section k, of order N, maps u to y (s[N] = 0)::

    y = b[0] u + s[0];   s[i] <- s[i+1] + b[i+1] u - a[i] y           (a[i] multiplies y one step later: a_{i+1})

A thread is a lane, or a segment of one, with all coefficients and states in registers. A segment is `rounds` frames of
`hop` samples, each with its coefficients; constant coefficients are one frame (`hop` is then the segment's length).
Passes: "values" gives y; "ends" what a segment leaves when it starts from zero; "factors" the same without input from
each unit state, a column of F.

Bytes: forward reads x and writes y, 8 B per sample in float32, or 4 where lanes share x; with segments it reads x once
more. An instruction moves 16 B of a thread's own row, half a sector: the other half follows within the same run, from
the nearest cache. What bounds it is memory bandwidth; at order 2 a step is 5 multiply-adds, on a chain of 2.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .steps import (
    add,
    add_product,
    choose,
    entry,
    less_product,
    load_rows,
    load_run,
    offset_of,
    pick,
    place,
    store_rows,
    store_run,
    times,
    zeros,
)

COUNTS = [
    "sizes", "x_lanes", "b_lanes", "a_lanes", "before_lanes", "y_lanes", "b_at", "a_at", "before_at",
    "x_step", "y_step", "lanes", "segments", "steps", "hop", "period", "rounds", "b_frames", "a_frames",
]  # fmt: skip


@triton.jit
def frame_of(pointer, frame, frames, at, live, S: tl.constexpr, N: tl.constexpr, P: tl.constexpr, C: tl.constexpr):
    # The coefficients of a frame, the last one where there are fewer: S sections of N numbers; at: the strides of
    # frames, sections and terms.
    pointer += tl.minimum(frame, frames - 1) * entry(at, 0)
    rows = ()
    for k in tl.static_range(S):
        for i in tl.static_range(N):
            rows = rows + load_rows(pointer + k * entry(at, 1) + i * entry(at, 2), 1, live, P)
    return rows


@triton.jit
def between(rows, others, weight, N: tl.constexpr):
    # Coefficients on the way from one frame to the next one; at the frame itself the next one plays no part.
    mixed = ()
    for i in tl.static_range(N):
        mixed = mixed + (tl.where(weight == 0.0, rows[i], rows[i] + weight * (others[i] - rows[i])),)
    return mixed


@triton.jit
def step(u, state, b, a, S: tl.constexpr, N: tl.constexpr, NB: tl.constexpr, NA: tl.constexpr, P: tl.constexpr):
    # One sample through all sections: their outputs, and the states after.
    after = ()
    outputs = ()
    for k in tl.static_range(S):
        y = times(pick(b, k * NB, P), u, P)
        if N > 0:
            y = add(y, pick(state, k * N, P), P)
        for i in tl.static_range(N):
            if i + 1 < N:
                s = pick(state, k * N + i + 1, P)
            else:
                s = zeros(u[0], P, u[0].dtype)
            if i + 1 < NB:
                s = add_product(s, pick(b, k * NB + i + 1, P), u, P)
            if i < NA:
                s = less_product(s, pick(a, k * NA + i, P), y, P)
            after = after + s
        outputs = outputs + y
        u = y
    return outputs, after


@triton.jit(do_not_specialize=COUNTS)
def forward(
    x, b, a, before, starts, tame, y, after, ends,
    sizes, x_lanes, b_lanes, a_lanes, before_lanes, y_lanes, b_at, a_at, before_at,
    x_step, y_step, lanes, segments, steps, hop, period, rounds, b_frames, a_frames,
    PASS: tl.constexpr, STATE: tl.constexpr, SEGMENTED: tl.constexpr, VARYING: tl.constexpr, LINEAR: tl.constexpr,
    S: tl.constexpr, N: tl.constexpr, NB: tl.constexpr, NA: tl.constexpr, P: tl.constexpr, K: tl.constexpr,
    V_X: tl.constexpr, V_Y: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # starts, ends (S N P, segments, lanes); after (S N P, lanes); of "factors" ends is (S N P, S N P, segments, lanes).
    C: tl.constexpr = b.dtype.element_ty
    Z: tl.constexpr = S * N * P
    walk: tl.constexpr = SEGMENTED and PASS == "values"
    wide = tl.cast(lanes, tl.int64)
    length = tl.cast(hop, tl.int64) * rounds
    v, lane, segment, live, walks, first, count = place(lanes, segments, length, steps, tame, walk, BLOCK)
    pitch = wide * segments
    x += offset_of(lane, sizes, x_lanes) + first * x_step
    y += offset_of(lane, sizes, y_lanes) + first * y_step
    b += offset_of(lane, sizes, b_lanes)
    a += offset_of(lane, sizes, a_lanes)
    state = zeros(v, Z, C)
    if PASS == "factors":
        state = ()
        for i in tl.static_range(Z):
            state = state + (tl.where(tl.program_id(1) == i, tl.full(v.shape, 1.0, C), 0.0),)
    elif STATE:
        at_start = before + offset_of(lane, sizes, before_lanes)
        state = frame_of(at_start, segment * 0, 1, before_at, live & (segment == 0), S, N, P, C)
    if walk:
        state = choose(segment == 0, state, load_rows(starts + v, pitch, live & (segment > 0), Z), Z)
    if not VARYING:
        b_now = frame_of(b, segment * 0, 1, b_at, live, S, NB, P, C)
        a_now = frame_of(a, segment * 0, 1, a_at, live, S, NA, P, C)
    turns = tl.cast(rounds, tl.int64)
    if walk:
        turns = tl.max((count + hop - 1) // hop, 0)
    # Ranges end at a maximum over threads: where a thread has no samples, it leaves everything alone.
    for r in range(turns):
        skipped = tl.cast(r, tl.int64) * hop
        there = tl.minimum(count - skipped, hop)
        frame = segment * rounds + r
        if VARYING:
            b_now = frame_of(b, frame, b_frames, b_at, live & (there > 0), S, NB, P, C)
            a_now = frame_of(a, frame, a_frames, a_at, live & (there > 0), S, NA, P, C)
        if LINEAR:
            b_next = frame_of(b, frame + 1, b_frames, b_at, live & (there > 0), S, NB, P, C)
            a_next = frame_of(a, frame + 1, a_frames, a_at, live & (there > 0), S, NA, P, C)
        for t in range(0, hop, K):
            left = there - t
            at = skipped + t
            if PASS != "factors":
                inputs = load_run(x + at * x_step, x_step, live, left, K, P, V_X, C)
            run = ()
            for q in tl.static_range(K):
                if PASS == "factors":
                    u = zeros(v, P, C)
                else:
                    u = pick(inputs, q, P)
                b_here, a_here = b_now, a_now
                if LINEAR:
                    weight = tl.cast(t + q, C) / tl.cast(period, C)
                    b_here = between(b_now, b_next, weight, S * NB * P)
                    a_here = between(a_now, a_next, weight, S * NA * P)
                outputs, moved = step(u, state, b_here, a_here, S, N, NB, NA, P)
                state = choose(q < left, moved, state, Z)
                run = run + pick(outputs, S - 1, P)
            if PASS == "values":
                store_run(y + at * y_step, y_step, run, live, left, K, P, V_Y)
    if PASS == "ends":
        store_rows(ends + v, pitch, state, live, Z)
    elif PASS == "factors":
        store_rows(ends + tl.program_id(1) * pitch + v, tl.num_programs(1) * pitch, state, live, Z)
    else:
        store_rows(after + lane, wide, state, live & (first + count == steps), Z)
