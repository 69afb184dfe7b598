"""What the machine runs for many steps at once: nothing depends on it, whatever the order of the instructions."""

from __future__ import annotations

import pytest
import torch
from closeness import eps, near
from machine import Assembler, run

LANES = (1, 3, 8, 17)
STEPS = (1, 2, 17, 63, 64, 65, 1025, 2500)  # around a vector, the parts of a sum and a chunk

pytestmark = pytest.mark.cpu  # the machine is the native kernels'


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("steps", STEPS)
def test_scratch_serves_every_section(steps, lanes, rows):
    """One slot of scratch holds something early, in the core and late; the state is read on both sides of the step."""
    p = Assembler()
    x, s, t = (p.slot(kind, 0, rows) for kind in ("sequence", "state", "temp"))
    old, early, core, late, first = p.slot("before", s, rows), *(p.slot("output", i, rows) for i in range(4))
    p.code("neg", t, x)  # early
    p.code("copy", early, t)
    p.code("add", s, s, t)  # core: s = s - x
    p.code("min", t, s, x)
    p.code("copy", core, t)
    p.code("mul", t, s, x)  # late
    p.code("sub", late, t, old)
    p.code("copy", first, old)
    x, before = torch.randint(-3, 4, (steps, lanes, rows)).float(), torch.randint(-3, 4, (lanes, rows)).float()
    *actual, after, _ = run(p, (), (), [x], [before], [lanes], [rows] * 4, steps)
    state = before - x.cumsum(0)
    previous = torch.cat([before[None], state[:-1]])
    truth = (-x, torch.minimum(state, x), state * x - previous, previous)
    for one, other in zip(actual, truth, strict=True):
        assert one.equal(other)
    assert after.equal(state[-1])


@pytest.mark.parametrize("lanes", LANES)
def test_states_that_pass_each_other(lanes):
    """A delay line, two states that change places, and one that is put together from parts."""
    steps = 40
    p = Assembler()
    x, y = p.slot("sequence"), p.slot("output", 0, 2)
    a, b, c = p.slot("state", 0), p.slot("state", 1), p.slot("state", 2, 2)
    old_a, old_c = p.slot("before", a), p.slot("before", c, 2)
    p.code("copy", a, b)
    p.code("add", b, old_a, x)
    p.code("copy", p.slot("view", c, 1, 0), b)
    p.code("copy", p.slot("view", c, 1, 1), p.slot("view", old_c, 1, 0))
    p.code("add", y, c, old_c)
    x = torch.randint(-3, 4, (steps, lanes, 1)).float()
    zero = torch.zeros(lanes, 1)
    actual, *after, _ = run(p, (), (), [x], [zero, zero, torch.zeros(lanes, 2)], [lanes], [2], steps)
    a, b, c, rows = zero, zero, torch.zeros(lanes, 2), []
    for t in range(steps):
        a, b, old = b, a + x[t], c
        c = torch.cat([b, old[:, :1]], 1)
        rows.append(c + old)
    assert actual.equal(torch.stack(rows))
    for one, other in zip(after, (a, b, c), strict=True):
        assert one.equal(other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("op", ["add", "sub", "fma", "fnma"])
@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("steps", [0, *STEPS])
def test_sums_over_time(steps, lanes, rows, op, dtype):
    """A state that an adjoint only adds to; what it is does not depend on how time is cut, to the last bit."""
    p = Assembler()
    v = p.slot("sequence", 0, rows)
    w = p.slot("held", 0)
    p.code("copy", p.slot("output", 0, rows), v)
    q = Assembler()
    s, d = q.slot("state", 0, rows), q.slot("sequence", 0, rows)
    seen, one = q.slot("forward", v, rows), q.slot("forward", w)
    if op in ("add", "sub"):
        q.code(op, s, s, seen)
    elif rows == 1:
        q.code(op, s, seen, d, s)
    else:
        q.code(op, s, seen, one, s, broadcast=2)
    x, g = torch.randn(2, steps, lanes, rows, dtype=dtype)
    held, before = torch.randn(lanes, 1, dtype=dtype), torch.randn(lanes, rows, dtype=dtype)
    factor = 1 if op in ("add", "sub") else g if rows == 1 else held
    terms = (x * factor).double()
    truth = before.double() + (-1 if op in ("sub", "fnma") else 1) * terms.sum(0)
    results = []
    for every in (0, -1, 7, 64, 1000):
        saved = run(p, [held], (), [x], (), [lanes], [rows], steps, every=every)[-1]
        settings = ([lanes], [], steps, False, every, [], [])
        after = torch.ops.feedbackward.scan_backward(
            p.words(), q.words(), [held], [], [x], [], saved, [], [g], [before], *settings
        )
        near(after[0], truth, 4 * eps(dtype) * (terms.abs().sum(0).max() + 1 if steps else 1))
        results.append(after[0])
    assert all(r.equal(results[0]) for r in results)
