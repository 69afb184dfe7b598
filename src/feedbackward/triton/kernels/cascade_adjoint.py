"""The adjoint of `cascade.forward`, section by section in reverse, t descending; g[i] is the adjoint of s[i] after t.

    w = dy - sum a[i] g[i];   du = b[0] w + sum b[i+1] g[i]                (coefficients and signals conjugated)
    db[0] = u w;   db[i+1] = u g[i];   da[i] = -y g[i];   g <- (w, g[0], .., g[N-2])

Where gradients of coefficients are wanted, a thread first walks through its segment and leaves the state before every
run of K samples; then it takes the runs in reverse, computes their outputs again into registers, and goes back over
them. Each thread sums the gradients of a frame in registers and leaves one number per coefficient and frame (or
segment); adding those up over lanes and segments is torch's, in a fixed order.

Bytes: reads dy and writes dx, 8 B per sample in float32; for coefficients it also reads x twice, and moves the states
of the runs, 2 S N / K numbers per sample, which are read soon after they are written, from the second-level cache for
the most part. With segments dy and x are read once more. Where the lanes of a block share x, their dx is summed in the
block (SHARED) and one row is written for all. What bounds it is memory bandwidth, closely followed by the arithmetic:
at order 2 with all gradients, 10 multiply-adds of replay and 14 of the adjoint.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .cascade import COUNTS, between, frame_of, step
from .steps import (
    add_product,
    choose,
    conjugate,
    less_product,
    load_rows,
    load_run,
    offset_of,
    pick,
    place,
    place_shared,
    store_rows,
    store_run,
    store_sum,
    times,
    zeros,
)

GRADIENT_COUNTS = [*COUNTS, "dx_lanes", "dx_step", "capacity", "sharing"]


@triton.jit
def back(
    w, u, outputs, g, b, a,
    S: tl.constexpr, N: tl.constexpr, NB: tl.constexpr, NA: tl.constexpr, P: tl.constexpr, PARAMETERS: tl.constexpr,
):  # fmt: skip
    # One sample back through all sections: du, g after, and what it adds to db and da.
    g_after = ()
    d_b = ()
    d_a = ()
    for k in tl.static_range(S - 1, -1, -1):
        for i in tl.static_range(NA):
            w = less_product(w, conjugate(pick(a, k * NA + i, P), P), pick(g, k * N + i, P), P)
        d_u = times(conjugate(pick(b, k * NB, P), P), w, P)
        for i in tl.static_range(NB - 1):
            d_u = add_product(d_u, conjugate(pick(b, k * NB + i + 1, P), P), pick(g, k * N + i, P), P)
        if PARAMETERS:
            if k == 0:
                drive = conjugate(u, P)
            else:
                drive = conjugate(pick(outputs, k - 1, P), P)
            y = conjugate(pick(outputs, k, P), P)
            terms = times(drive, w, P)
            for i in tl.static_range(NB - 1):
                terms = terms + times(drive, pick(g, k * N + i, P), P)
            d_b = terms + d_b
            terms = ()
            for i in tl.static_range(NA):
                terms = terms + less_product(zeros(w[0], P, w[0].dtype), y, pick(g, k * N + i, P), P)
            d_a = terms + d_a
        if N > 0:
            mine = w
            for i in tl.static_range(N - 1):
                mine = mine + pick(g, k * N + i, P)
            g_after = mine + g_after
        w = d_u
    return w, g_after, d_b, d_a


@triton.jit
def accumulate(inside, totals, terms, N: tl.constexpr):
    # A thread adds what it has inside its samples.
    sums = ()
    for i in tl.static_range(N):
        sums = sums + (totals[i] + tl.where(inside, terms[i], 0.0),)
    return sums


@triton.jit
def accumulate_part(inside, weight, totals, terms, N: tl.constexpr):
    sums = ()
    for i in tl.static_range(N):
        sums = sums + (totals[i] + tl.where(inside, tl.where(weight == 0.0, 0.0, weight * terms[i]), 0.0),)
    return sums


@triton.jit(do_not_specialize=GRADIENT_COUNTS)
def adjoint(
    x, b, a, before, starts, d_y, d_after, d_starts, tame, d_x, d_x_walked, d_b, d_b_next, d_a, d_a_next,
    d_before, runs, ends,
    sizes, x_lanes, b_lanes, a_lanes, before_lanes, y_lanes, b_at, a_at, before_at, dx_lanes,
    x_step, y_step, dx_step, lanes, segments, steps, hop, period, rounds, b_frames, a_frames, capacity, sharing,
    ENDS: tl.constexpr, STATE: tl.constexpr, SEGMENTED: tl.constexpr, VARYING: tl.constexpr, LINEAR: tl.constexpr,
    PARAMETERS: tl.constexpr, D_X: tl.constexpr, SHARED: tl.constexpr,
    S: tl.constexpr, N: tl.constexpr, NB: tl.constexpr, NA: tl.constexpr, P: tl.constexpr, K: tl.constexpr,
    V_X: tl.constexpr, V_Y: tl.constexpr, V_DX: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    # starts, d_starts, ends (S N P, segments, lanes); d_after, d_before (S N P, lanes); d_b, d_a and what they pass on
    # to the next frame (terms, segments rounds, lanes); runs (capacity, S N P, segments, lanes). With SHARED,
    # d_x and d_x_walked are (owners shares, T).
    C: tl.constexpr = b.dtype.element_ty
    Z: tl.constexpr = S * N * P
    walk: tl.constexpr = SEGMENTED and not ENDS
    wide = tl.cast(lanes, tl.int64)
    length = tl.cast(hop, tl.int64) * rounds
    if SHARED:
        v, lane, segment, live, walks, first, count = place_shared(
            lanes, sharing, segments, length, steps, tame, walk, BLOCK
        )
        # Every block has a row of dx, in the segment's place; lanes that walk have one of their own, for all time.
        shares = (sharing + BLOCK - 1) // BLOCK
        rows = shares * (wide // sharing)
        block = tl.program_id(0) % rows
        block_first = tl.program_id(0) // rows * length
        block_count = tl.minimum(steps - block_first, length)
        walkers = tl.max((live & walks).to(tl.int32), 0)
    else:
        v, lane, segment, live, walks, first, count = place(lanes, segments, length, steps, tame, walk, BLOCK)
        d_x += offset_of(lane, sizes, dx_lanes) + first * dx_step
    pitch = wide * segments
    slots = pitch * rounds
    x += offset_of(lane, sizes, x_lanes) + first * x_step
    d_y += offset_of(lane, sizes, y_lanes) + first * y_step
    b += offset_of(lane, sizes, b_lanes)
    a += offset_of(lane, sizes, a_lanes)
    if not VARYING:
        b_now = frame_of(b, segment * 0, 1, b_at, live, S, NB, P, C)
        a_now = frame_of(a, segment * 0, 1, a_at, live, S, NA, P, C)
    turns = tl.cast(rounds, tl.int64)
    if walk:
        turns = tl.max((count + hop - 1) // hop, 0)
    parts = (hop + K - 1) // K  # runs in a frame
    if PARAMETERS:
        state = zeros(v, Z, C)
        if STATE:
            at_start = before + offset_of(lane, sizes, before_lanes)
            state = frame_of(at_start, segment * 0, 1, before_at, live & (segment == 0), S, N, P, C)
        if SEGMENTED:
            state = choose(segment == 0, state, load_rows(starts + v, pitch, live & (segment > 0), Z), Z)
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
            for c in range(parts):
                left = there - c * K
                at = skipped + c * K
                # A thread that walks leaves its runs where those of the segments that it passes would be.
                number = tl.cast(r, tl.int64) * parts + c
                kept = runs + number % capacity * Z * pitch + (segment + number // capacity) * wide + lane
                store_rows(kept, pitch, state, live & (left > 0), Z)
                inputs = load_run(x + at * x_step, x_step, live, left, K, P, V_X, C)
                for q in tl.static_range(K):
                    u = pick(inputs, q, P)
                    b_here, a_here = b_now, a_now
                    if LINEAR:
                        weight = tl.cast(c * K + q, C) / tl.cast(period, C)
                        b_here = between(b_now, b_next, weight, S * NB * P)
                        a_here = between(a_now, a_next, weight, S * NA * P)
                    outputs, moved = step(u, state, b_here, a_here, S, N, NB, NA, P)
                    state = choose(q < left, moved, state, Z)
        tl.debug_barrier()
    is_last = first + count == steps
    g = load_rows(d_after + lane, wide, live & is_last, Z)
    if walk:
        g = choose(is_last, g, load_rows(d_starts + v, pitch, live & (first + count < steps), Z), Z)
    for behind in range(turns):
        r = turns - 1 - behind
        skipped = r * hop
        there = tl.minimum(count - skipped, hop)
        frame = segment * rounds + r
        if VARYING:
            b_now = frame_of(b, frame, b_frames, b_at, live & (there > 0), S, NB, P, C)
            a_now = frame_of(a, frame, a_frames, a_at, live & (there > 0), S, NA, P, C)
        if LINEAR:
            b_next = frame_of(b, frame + 1, b_frames, b_at, live & (there > 0), S, NB, P, C)
            a_next = frame_of(a, frame + 1, a_frames, a_at, live & (there > 0), S, NA, P, C)
        b_totals = zeros(v, S * NB * P, C)
        a_totals = zeros(v, S * NA * P, C)
        if LINEAR:
            b_passed = zeros(v, S * NB * P, C)
            a_passed = zeros(v, S * NA * P, C)
        for turned in range(parts):
            c = parts - 1 - turned
            left = there - c * K
            at = skipped + c * K
            given = load_run(d_y + at * y_step, y_step, live, left, K, P, V_Y, C)
            replayed = ()
            if PARAMETERS:
                inputs = load_run(x + at * x_step, x_step, live, left, K, P, V_X, C)
                number = r * parts + c
                kept = runs + number % capacity * Z * pitch + (segment + number // capacity) * wide + lane
                state = load_rows(kept, pitch, live & (left > 0), Z)
                for q in tl.static_range(K):
                    u = pick(inputs, q, P)
                    b_here, a_here = b_now, a_now
                    if LINEAR:
                        weight = tl.cast(c * K + q, C) / tl.cast(period, C)
                        b_here = between(b_now, b_next, weight, S * NB * P)
                        a_here = between(a_now, a_next, weight, S * NA * P)
                    outputs, state = step(u, state, b_here, a_here, S, N, NB, NA, P)
                    replayed = replayed + outputs
            d_inputs = ()
            for q in tl.static_range(K - 1, -1, -1):
                inside = q < left
                outputs = ()
                u = pick(given, q, P)
                if PARAMETERS:
                    u = pick(inputs, q, P)
                    for k in tl.static_range(S):
                        outputs = outputs + pick(replayed, q * S + k, P)
                b_here, a_here = b_now, a_now
                if LINEAR:
                    weight = tl.cast(c * K + q, C) / tl.cast(period, C)
                    b_here = between(b_now, b_next, weight, S * NB * P)
                    a_here = between(a_now, a_next, weight, S * NA * P)
                d_u, g_after, b_terms, a_terms = back(
                    pick(given, q, P), u, outputs, g, b_here, a_here, S, N, NB, NA, P, PARAMETERS
                )
                if PARAMETERS and LINEAR:
                    b_totals = accumulate_part(inside, 1.0 - weight, b_totals, b_terms, S * NB * P)
                    a_totals = accumulate_part(inside, 1.0 - weight, a_totals, a_terms, S * NA * P)
                    b_passed = accumulate_part(inside, weight, b_passed, b_terms, S * NB * P)
                    a_passed = accumulate_part(inside, weight, a_passed, a_terms, S * NA * P)
                elif PARAMETERS:
                    b_totals = accumulate(inside, b_totals, b_terms, S * NB * P)
                    a_totals = accumulate(inside, a_totals, a_terms, S * NA * P)
                d_inputs = d_u + d_inputs
                g = choose(inside, g_after, g, Z)
            if D_X and SHARED:
                row = d_x + (block * steps + block_first + at) * P
                ends_in = tl.minimum(block_count - skipped, hop) - c * K
                store_sum(row, d_inputs, live & (walks == 0), ends_in, K, P)
                if walk:
                    if walkers > 0:
                        row = d_x_walked + (block * steps + at) * P
                        ends_in = tl.minimum(steps - skipped, hop) - c * K
                        store_sum(row, d_inputs, live & walks, ends_in, K, P)
            elif D_X:
                store_run(d_x + at * dx_step, dx_step, d_inputs, live, left, K, P, V_DX)
        if PARAMETERS:
            slot = frame * wide + lane
            there_is = live & (walks | (frame < (segment + 1) * rounds))
            store_rows(d_b + slot, slots, b_totals, there_is, S * NB * P)
            store_rows(d_a + slot, slots, a_totals, there_is, S * NA * P)
            if LINEAR:
                store_rows(d_b_next + slot, slots, b_passed, there_is, S * NB * P)
                store_rows(d_a_next + slot, slots, a_passed, there_is, S * NA * P)
    if ENDS:
        store_rows(ends + v, pitch, g, live, Z)
    elif STATE:
        store_rows(d_before + lane, wide, g, live & (segment == 0), Z)
