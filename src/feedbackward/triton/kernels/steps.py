"""What every walk through time does: find a lane in memory, and bring a run of its samples into registers and back.

A thread owns a lane, or a segment of one, and takes K samples at a time. Where time is contiguous it moves 16 bytes
with one instruction, V samples: the tile [BLOCK, V] has a thread's samples in that thread's registers, so that taking
it apart with `tl.split` into V vectors [BLOCK], and putting it together with `tl.join`, costs nothing. No shared memory
is involved and no thread waits for another. Where lanes are contiguous (time first, or a value that lanes share), one
sample of all lanes is one coalesced access, or one broadcast.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def place(lanes, segments, length, steps, tame, WALK: tl.constexpr, BLOCK: tl.constexpr):
    # Of every thread: its number, lane and segment, whether it works, whether it walks, its first sample and how many
    # there are. With WALK the first segment of a lane that is not tame takes all samples, and the others none.
    wide = tl.cast(lanes, tl.int64)
    v = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    live = v < wide * segments
    lane, segment = v % wide, v // wide
    first, count, live, walks = _span(lane, segment, live, length, steps, tame, WALK)
    return v, lane, segment, live, walks, first, count


@triton.jit
def place_shared(lanes, sharing, segments, length, steps, tame, WALK: tl.constexpr, BLOCK: tl.constexpr):
    # The same for blocks of lanes that share a signal: lane = owner * sharing + one of the `sharing` lanes; a block is
    # in one owner and one segment.
    wide = tl.cast(lanes, tl.int64)
    shares = (sharing + BLOCK - 1) // BLOCK
    share, rest = tl.program_id(0) % shares, tl.program_id(0) // shares
    one = share * BLOCK + tl.arange(0, BLOCK)
    owners = wide // sharing
    lane, segment = rest % owners * sharing + one, (rest // owners) + one * 0
    live = one < sharing
    first, count, live, walks = _span(lane, segment, live, length, steps, tame, WALK)
    return segment * wide + lane, lane, segment, live, walks, first, count


@triton.jit
def _span(lane, segment, live, length, steps, tame, WALK: tl.constexpr):
    first = segment * length
    count = tl.minimum(steps - first, length)
    walks = live & (lane < 0)
    if WALK:
        walks = live & (tl.load(tame + lane, mask=live, other=1) == 0)
        count = tl.where(walks, tl.where(segment == 0, steps, 0), count)
        live = live & ((count > 0) | (walks == 0))
    return first, count, live, walks


@triton.jit
def entry(numbers, i: tl.constexpr):
    # A number of a tuple, as `launch.in_code` has written it.
    return (tl.cast(numbers[i], tl.int64) - 3) >> 2


@triton.jit
def offset_of(lane, sizes, strides):
    # The offset of each lane (int64), whose index counts through axes of these sizes, the last one fastest.
    offset = lane * 0
    for axis in tl.static_range(len(sizes) - 1, -1, -1):
        if axis == 0:
            offset += lane * entry(strides, 0)
        else:
            size = entry(sizes, axis)
            offset += (lane % size) * entry(strides, axis)
            lane = lane // size
    return offset


@triton.jit
def _aligned(pointer, V: tl.constexpr):
    # Rows of V numbers; that each starts at a multiple of 16 bytes the compiler cannot know of run-time strides.
    return tl.multiple_of(pointer[:, None] + tl.arange(0, V)[None, :], [1, 16])


@triton.jit
def load_run(pointer, step, live, left, K: tl.constexpr, P: tl.constexpr, V: tl.constexpr, C: tl.constexpr):
    # Samples 0 .. K-1 after `pointer`, of P parts each, as K P vectors of dtype C: zero from sample `left` on. With
    # V > 1 the parts that are left are a multiple of V.
    run = ()
    if V == 1:
        for q in tl.static_range(K):
            for part in tl.static_range(P):
                run = run + (tl.load(pointer + q * step + part, mask=live & (q < left), other=0.0).to(C),)
    else:
        for q in tl.static_range(0, K * P, V):
            mask = (live & (q < left * P))[:, None]
            tile = tl.load(_aligned(pointer + q, V), mask=mask, other=0.0).to(C)
            if V == 4:
                even, odd = tl.split(tl.reshape(tile, [tile.shape[0], 2, 2]))
                first, third = tl.split(even)
                second, fourth = tl.split(odd)
                run = run + (first, second, third, fourth)
            else:
                first, second = tl.split(tile)
                run = run + (first, second)
    return run


@triton.jit
def store_run(pointer, step, run, live, left, K: tl.constexpr, P: tl.constexpr, V: tl.constexpr):
    # The reverse of load_run: samples 0 .. min(K, left) - 1 go to memory.
    if V == 1:
        for q in tl.static_range(K):
            for part in tl.static_range(P):
                tl.store(pointer + q * step + part, run[q * P + part], mask=live & (q < left))
    else:
        for q in tl.static_range(0, K * P, V):
            if V == 4:
                even, odd = tl.join(run[q], run[q + 2]), tl.join(run[q + 1], run[q + 3])
                tile = tl.reshape(tl.join(even, odd), [run[q].shape[0], 4])
            else:
                tile = tl.join(run[q], run[q + 1])
            mask = (live & (q < left * P))[:, None]
            tl.store(_aligned(pointer + q, V), tile.to(pointer.dtype.element_ty), mask=mask)


@triton.jit
def store_sum(row, run, live, left, K: tl.constexpr, P: tl.constexpr):
    # A run summed over the lanes of the block that are live, as one row of min(K, left) samples of P parts.
    for q in tl.static_range(0, K * P, 4):
        even, odd = tl.join(run[q], run[q + 2]), tl.join(run[q + 1], run[q + 3])
        tile = tl.reshape(tl.join(even, odd), [run[q].shape[0], 4])
        at = q + tl.arange(0, 4)
        total = tl.sum(tl.where(live[:, None], tile, 0.0), 0)
        tl.store(row + at, total.to(row.dtype.element_ty), mask=at < left * P)


@triton.jit
def load_rows(pointer, pitch, live, N: tl.constexpr):
    # N values of every lane, `pitch` apart.
    rows = ()
    for i in tl.static_range(N):
        rows = rows + (tl.load(pointer + i * pitch, mask=live, other=0.0),)
    return rows


@triton.jit
def store_rows(pointer, pitch, rows, live, N: tl.constexpr):
    for i in tl.static_range(N):
        tl.store(pointer + i * pitch, rows[i], mask=live)


@triton.jit
def zeros(like, N: tl.constexpr, C: tl.constexpr):
    # N vectors of zeros, as long as `like`.
    rows = ()
    for _ in tl.static_range(N):
        rows = rows + (tl.zeros(like.shape, C),)
    return rows


@triton.jit
def choose(condition, rows, others, N: tl.constexpr):
    # For each of N vectors, `rows` where the condition holds and `others` elsewhere.
    chosen = ()
    for i in tl.static_range(N):
        chosen = chosen + (tl.where(condition, rows[i], others[i]),)
    return chosen


@triton.jit
def pick(rows, i: tl.constexpr, P: tl.constexpr):
    # The i-th number of P parts: its real part, and with P = 2 its imaginary part.
    if P == 1:
        return (rows[i],)
    else:
        return (rows[2 * i], rows[2 * i + 1])


@triton.jit
def conjugate(x, P: tl.constexpr):
    if P == 1:
        return x
    else:
        return (x[0], -x[1])


@triton.jit
def add(x, y, P: tl.constexpr):
    if P == 1:
        return (x[0] + y[0],)
    else:
        return (x[0] + y[0], x[1] + y[1])


@triton.jit
def times(x, y, P: tl.constexpr):
    if P == 1:
        return (x[0] * y[0],)
    else:
        return (x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0])


@triton.jit
def add_product(z, x, y, P: tl.constexpr):
    # z + x y
    if P == 1:
        return (z[0] + x[0] * y[0],)
    else:
        return (z[0] + x[0] * y[0] - x[1] * y[1], z[1] + x[0] * y[1] + x[1] * y[0])


@triton.jit
def less_product(z, x, y, P: tl.constexpr):
    # z - x y
    if P == 1:
        return (z[0] - x[0] * y[0],)
    else:
        return (z[0] - x[0] * y[0] + x[1] * y[1], z[1] - x[0] * y[1] - x[1] * y[0])
