"""The linear recurrence h[t] = d[t] h[t-1] + x[t] and its adjoint.

    g <- dh[t] + g;   dx[t] = g;   dd[t] = conj(h[t-1]) g;   g <- conj(d[t]) g      (t descending)

A thread is a lane, or a segment of one. Passes: "ends" computes what a segment leaves, e and the product F of its
decays, "values" what the caller wants.

Bytes: forward reads x, and d where it varies, and writes h: 8 or 12 B per sample in float32, and with segments reads
the inputs once more. Backward reads dh, and for the gradient of d also x and d twice (to leave the state at every run,
then to go back), and writes dx and dd. Memory bandwidth bounds both: a step is one multiply-add.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .steps import (
    add,
    add_product,
    choose,
    conjugate,
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
    "sizes", "x_lanes", "d_lanes", "before_lanes", "y_lanes",
    "x_step", "d_step", "y_step", "lanes", "segments", "steps", "length",
]  # fmt: skip
GRADIENT_COUNTS = [*COUNTS, "dx_lanes", "dd_lanes", "dx_step", "dd_step", "capacity"]


@triton.jit(do_not_specialize=COUNTS)
def forward(
    x, d, before, starts, tame, y, ends, factors,
    sizes, x_lanes, d_lanes, before_lanes, y_lanes, x_step, d_step, y_step, lanes, segments, steps, length,
    ENDS: tl.constexpr, STATE: tl.constexpr, VARYING: tl.constexpr, SEGMENTED: tl.constexpr, P: tl.constexpr,
    K: tl.constexpr, V_X: tl.constexpr, V_D: tl.constexpr, V_Y: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # starts, ends (P, segments, lanes); factors (P, segments, lanes).
    C: tl.constexpr = d.dtype.element_ty
    walk: tl.constexpr = SEGMENTED and not ENDS
    v, lane, segment, live, walks, first, count = place(lanes, segments, length, steps, tame, walk, BLOCK)
    pitch = tl.cast(lanes, tl.int64) * segments
    h = zeros(v, P, C)
    if STATE:
        h = load_rows(before + offset_of(lane, sizes, before_lanes), 1, live & (segment == 0), P)
    if SEGMENTED and not ENDS:
        h = choose(segment == 0, h, load_rows(starts + v, pitch, live & (segment > 0), P), P)
    f = (tl.full(v.shape, 1.0, C),)
    if P == 2:
        f = f + (tl.zeros(v.shape, C),)
    x += offset_of(lane, sizes, x_lanes) + first * x_step
    d += offset_of(lane, sizes, d_lanes) + first * d_step
    y += offset_of(lane, sizes, y_lanes) + first * y_step
    held = zeros(v, P, C)
    if not VARYING:
        held = load_rows(d, 1, live, P)
    # A range that ends at a maximum over threads: what a thread has no samples for, it leaves alone.
    longest = tl.max(count, 0) if walk else tl.minimum(tl.cast(steps, tl.int64), length)
    for t in range(0, longest, K):
        left = count - t
        at = tl.cast(t, tl.int64)
        inputs = load_run(x + at * x_step, x_step, live, left, K, P, V_X, C)
        if VARYING:
            decays = load_run(d + at * d_step, d_step, live, left, K, P, V_D, C)
        run = ()
        for q in tl.static_range(K):
            decay = pick(decays, q, P) if VARYING else held
            h = choose(q < left, add_product(pick(inputs, q, P), decay, h, P), h, P)
            if ENDS:
                f = choose(q < left, times(decay, f, P), f, P)
            run = run + h
        if not ENDS:
            store_run(y + at * y_step, y_step, run, live, left, K, P, V_Y)
    if ENDS:
        store_rows(ends + v, pitch, h, live, P)
        store_rows(factors + v, pitch, f, live, P)


@triton.jit(do_not_specialize=GRADIENT_COUNTS)
def adjoint(
    x, d, before, starts, d_y, d_starts, tame, d_x, d_d, d_before, runs, ends, factors,
    sizes, x_lanes, d_lanes, before_lanes, y_lanes, dx_lanes, dd_lanes,
    x_step, d_step, y_step, dx_step, dd_step, lanes, segments, steps, length, capacity,
    ENDS: tl.constexpr, STATE: tl.constexpr, VARYING: tl.constexpr, SEGMENTED: tl.constexpr, DECAY: tl.constexpr,
    D_X: tl.constexpr, P: tl.constexpr, K: tl.constexpr, V_X: tl.constexpr, V_D: tl.constexpr, V_Y: tl.constexpr,
    V_DX: tl.constexpr, V_DD: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # starts, ends, d_starts, factors (P, segments, lanes); d_before (P, lanes); d_d (P, segments, lanes) where d is
    # held; runs (capacity, P, segments, lanes): the state before every run of K samples.
    C: tl.constexpr = d.dtype.element_ty
    walk: tl.constexpr = SEGMENTED and not ENDS
    v, lane, segment, live, walks, first, count = place(lanes, segments, length, steps, tame, walk, BLOCK)
    wide = tl.cast(lanes, tl.int64)
    pitch = wide * segments
    longest = tl.max(count, 0) if walk else tl.minimum(tl.cast(steps, tl.int64), length)
    chunks = (longest + K - 1) // K
    x += offset_of(lane, sizes, x_lanes) + first * x_step
    d += offset_of(lane, sizes, d_lanes) + first * d_step
    d_y += offset_of(lane, sizes, y_lanes) + first * y_step
    d_x += offset_of(lane, sizes, dx_lanes) + first * dx_step
    held = zeros(v, P, C)
    if not VARYING:
        held = load_rows(d, 1, live, P)
    if DECAY:
        h = zeros(v, P, C)
        if STATE:
            h = load_rows(before + offset_of(lane, sizes, before_lanes), 1, live & (segment == 0), P)
        if SEGMENTED:
            h = choose(segment == 0, h, load_rows(starts + v, pitch, live & (segment > 0), P), P)
        for c in range(chunks):
            left = count - c * K
            at = tl.cast(c, tl.int64)
            # A thread that walks leaves its runs where those of the segments that it passes would be.
            kept = runs + at % capacity * P * pitch + (segment + at // capacity) * wide + lane
            store_rows(kept, pitch, h, live & (left > 0), P)
            inputs = load_run(x + at * K * x_step, x_step, live, left, K, P, V_X, C)
            if VARYING:
                decays = load_run(d + at * K * d_step, d_step, live, left, K, P, V_D, C)
            for q in tl.static_range(K):
                decay = pick(decays, q, P) if VARYING else held
                h = choose(q < left, add_product(pick(inputs, q, P), decay, h, P), h, P)
        tl.debug_barrier()
        if VARYING:
            d_d += offset_of(lane, sizes, dd_lanes) + first * dd_step
    g = zeros(v, P, C)
    if SEGMENTED and not ENDS:
        g = load_rows(d_starts + v, pitch, live & (first + count < steps), P)
    f = (tl.full(v.shape, 1.0, C),)
    if P == 2:
        f = f + (tl.zeros(v.shape, C),)
    total = zeros(v, P, C)
    for back in range(chunks):
        at = tl.cast(chunks - 1 - back, tl.int64)
        left = count - at * K
        given = load_run(d_y + at * K * y_step, y_step, live, left, K, P, V_Y, C)
        if VARYING:
            decays = load_run(d + at * K * d_step, d_step, live, left, K, P, V_D, C)
        past = ()
        if DECAY:
            h = load_rows(
                runs + at % capacity * P * pitch + (segment + at // capacity) * wide + lane,
                pitch, live & (left > 0), P,
            )  # fmt: skip
            inputs = load_run(x + at * K * x_step, x_step, live, left, K, P, V_X, C)
            for q in tl.static_range(K):
                past = past + h
                decay = pick(decays, q, P) if VARYING else held
                h = add_product(pick(inputs, q, P), decay, h, P)
        d_inputs = ()
        d_decays = ()
        for q in tl.static_range(K - 1, -1, -1):
            inside = q < left
            decay = conjugate(pick(decays, q, P) if VARYING else held, P)
            w = add(pick(given, q, P), g, P)
            d_inputs = w + d_inputs
            if DECAY:
                before_it = conjugate(pick(past, q, P), P)
                if VARYING:
                    d_decays = times(before_it, w, P) + d_decays
                else:
                    total = choose(inside, add_product(total, before_it, w, P), total, P)
            g = choose(inside, times(decay, w, P), g, P)
            if ENDS:
                f = choose(inside, times(conjugate(decay, P), f, P), f, P)
        if D_X:
            store_run(d_x + at * K * dx_step, dx_step, d_inputs, live, left, K, P, V_DX)
        if DECAY and VARYING:
            store_run(d_d + at * K * dd_step, dd_step, d_decays, live, left, K, P, V_DD)
    if ENDS:
        store_rows(ends + v, pitch, g, live, P)
        store_rows(factors + v, pitch, f, live, P)
    elif STATE:
        store_rows(d_before + lane, wide, g, live & (segment == 0), P)
    if DECAY and not VARYING:
        store_rows(d_d + v, pitch, total, live, P)
