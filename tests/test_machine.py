"""The program machine through its raw operators: every instruction, a loop and its adjoint, layouts.

Random programs, forward and backward, are compared with a plain loop in tests/core/machine.cpp.
"""

from __future__ import annotations

import math

import pytest
import torch
from closeness import eps, near
from machine import Assembler, integrator, run
from torch.library import opcheck

from feedbackward.ops import library

DTYPES = (torch.float32, torch.float64)
LANES = (1, 3, 5, 16, 17, 130, 200)  # tiles of 1, 8, 16 and 64 lanes, full or not; test_machine_tiles has wider ones

pytestmark = pytest.mark.cpu  # the machine is the native kernels'


POINTWISE = {
    "copy": lambda a: a,
    "neg": torch.neg,
    "abs": torch.abs,
    "sqrt": torch.sqrt,
    "rsqrt": lambda a: 1 / a.sqrt(),
    "reciprocal": torch.reciprocal,
    "float32": lambda a: a.float().to(a.dtype),
    "is_nan": lambda a: a.isnan().to(a.dtype),
    "sign": torch.sign,
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "min": torch.minimum,
    "max": torch.maximum,
    "pow": torch.pow,
    "atan2": torch.atan2,
    "fmod": torch.fmod,
    "remainder": torch.remainder,
    "where": lambda a, b, c: torch.where(a != 0, b, c),
    "fma": lambda a, b, c: a * b + c,
    "fms": lambda a, b, c: a * b - c,
    "fnma": lambda a, b, c: c - a * b,
}
POINTWISE |= {name: getattr(torch, name) for name in ("exp", "expm1", "log", "log1p", "log2", "log10")}
POINTWISE |= {name: getattr(torch, name) for name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh")}
POINTWISE |= {name: getattr(torch, name) for name in ("asinh", "acosh", "atanh", "tanh", "sigmoid", "erf", "erfc")}
POINTWISE |= {name: getattr(torch, name) for name in ("floor", "ceil", "trunc", "round")}
COMPARISONS = {name: getattr(torch, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")}
COUPLED = ("gather", "sum_rows", "max_rows", "dense", "banded", "block")
TERNARY = ("where", "fma", "fms", "fnma")
BINARY = ("add", "sub", "mul", "div", "min", "max", "pow", "atan2", "fmod", "remainder", *COMPARISONS)


def test_every_operation_has_a_test():
    assert set(library.operations()) == {*POINTWISE, *COMPARISONS, *COUPLED}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*POINTWISE, *COMPARISONS])
def test_pointwise(name, dtype):
    arity = 3 if name in TERNARY else 2 if name in BINARY else 1
    for lanes in LANES:
        for rows in (1, 3):
            values = torch.randn(arity, 1, lanes, rows, dtype=dtype)
            values[torch.rand_like(values) < 0.05] = math.nan
            values[torch.rand_like(values) < 0.05] = 0
            if name in ("fmod", "remainder"):
                values[1] = values[1].abs() + 0.1  # the quotient is small: a rounded one would be off by a divisor
            p = Assembler()
            operands = [p.slot("sequence", i, rows) for i in range(arity)]
            p.code(name, p.slot("output", 0, rows), *operands)
            actual = run(p, sequences=values.unbind(), lanes=[lanes], rows=[rows])[0]
            truth = {**POINTWISE, **COMPARISONS}[name](*values.double().unbind()).double()
            if name == "float32":
                truth = values[0].float().double()
            # A few ulp of what comes out; a sum also has those of what goes in.
            bound = 8 * eps(dtype) * (truth.abs() + (values.double() ** 2).sum(0) * (name in ("add", "sub", *TERNARY)))
            wrong = ~((actual.double() - truth).abs() <= bound) & ~(truth == actual) & ~(truth.isnan() & actual.isnan())
            assert not wrong.any(), f"{name} of {values[:, wrong]} is {truth[wrong]}, not {actual[wrong]}"


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("kind", ["constant", "held", "sequence", "temp"])
def test_one_row_serves_all(kind, lanes):
    rows, steps = 5, 3
    x, one = torch.randn(steps, lanes, rows), torch.randn(steps, lanes, 1)
    p = Assembler()
    a, y = p.slot("sequence", 0, rows), p.slot("output", 0, rows)
    if kind == "constant":
        b, one = p.slot("constant", extra=1.5), torch.tensor(1.5)
    elif kind == "held":
        b, one = p.slot("held"), one[:1]
    else:
        b = p.slot("sequence", 1)
    if kind == "temp":
        p.code("neg", t := p.slot("temp"), b)
        b, one = t, -one
    p.code("sub", y, b, a, broadcast=1)
    sequences = [x, one] if kind == "sequence" else [x, -one] if kind == "temp" else [x]
    actual = run(
        p, held=[one[0]] if kind == "held" else (), sequences=sequences, lanes=[lanes], rows=[rows], steps=steps
    )[0]
    assert actual.equal(one - x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 7), (16, 16), (33, 20), (128, 129), (4, 0)])
def test_dense(rows, columns, lanes, dtype):
    x, m = torch.randn(2, lanes, columns, dtype=dtype), torch.randn(columns, rows, dtype=dtype).t()
    p = Assembler()
    p.code("dense", p.slot("output", 0, rows), p.slot("sequence", 0, columns))
    actual = run(p, matrices=[m], sequences=[x], lanes=[lanes], rows=[rows], steps=2)[0]
    near(actual, x.double() @ m.double().t(), 4 * eps(dtype) * max(columns, 1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(("rows", "lower", "upper"), [(1, 0, 0), (5, 1, 2), (40, 8, 8), (3, 5, 4), (64, 0, 1)])
def test_banded(rows, lower, upper, lanes, dtype):
    x, m = torch.randn(2, lanes, rows, dtype=dtype), torch.randn(lower + upper + 1, rows, dtype=dtype)
    p = Assembler()
    p.code("banded", p.slot("output", 0, rows), p.slot("sequence", 0, rows), 0, lower)
    actual = run(p, matrices=[m], sequences=[x], lanes=[lanes], rows=[rows], steps=2)[0]
    full = torch.zeros(rows, rows, dtype=torch.float64)
    for i in range(rows):
        for d in range(lower + upper + 1):
            if 0 <= i + d - lower < rows:
                full[i, i + d - lower] = m[d, i]
    near(actual, x.double() @ full.t(), 8 * eps(dtype) * (lower + upper + 1))


@pytest.mark.parametrize("lanes", LANES)
def test_banded_does_not_read_beyond_its_rows(lanes):
    """What a band has outside of the matrix may be anything, and so may what lies beside its operand."""
    rows = 40
    m = torch.full((3, rows), math.inf)
    m[1] = 1
    m[0, 1:] = m[2, :-1] = 0
    p = Assembler()
    p.slot("sequence", 1, 16)
    a = p.slot("sequence", 0, rows)
    p.slot("sequence", 2, 16)
    p.code("banded", p.slot("output", 0, rows), a, 0, 1)
    x, bad = torch.randn(1, lanes, rows), torch.full((1, lanes, 16), math.nan)
    assert run(p, matrices=[m], sequences=[x, bad, bad], lanes=[lanes], rows=[rows])[0].equal(x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(("groups", "rows", "columns"), [(1, 3, 4), (3, 5, 2), (4, 16, 16), (2, 40, 33)])
def test_block(groups, rows, columns, lanes, dtype):
    x = torch.randn(2, lanes, groups * columns, dtype=dtype)
    m = torch.randn(groups * rows, columns, dtype=dtype)
    p = Assembler()
    p.code("block", p.slot("output", 0, groups * rows), p.slot("sequence", 0, groups * columns), 0, groups)
    actual = run(p, matrices=[m], sequences=[x], lanes=[lanes], rows=[groups * rows], steps=2)[0]
    truth = torch.block_diag(*m.double().view(groups, rows, columns)).mv
    near(
        actual,
        torch.stack([truth(v) for v in x.double().view(-1, groups * columns)]).view_as(actual),
        4 * eps(dtype) * columns,
    )


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(("outer", "count", "inner"), [(1, 7, 1), (3, 4, 1), (2, 5, 3), (1, 1, 40), (2, 33, 17)])
def test_reductions(outer, count, inner, lanes):
    x = torch.randn(2, lanes, outer, count, inner)
    x[torch.rand_like(x) < 0.02] = math.nan
    p = Assembler()
    a = p.slot("sequence", 0, outer * count * inner)
    p.table += [count, inner]
    p.code("sum_rows", p.slot("output", 0, outer * inner), a)
    p.code("max_rows", p.slot("output", 1, outer * inner), a)
    sums, largest, _ = run(p, sequences=[x.flatten(2)], lanes=[lanes], rows=[outer * inner] * 2, steps=2)
    torch.testing.assert_close(sums, x.sum(3).flatten(2), rtol=0, atol=4 * eps(x.dtype) * count, equal_nan=True)
    assert torch.equal(largest.nan_to_num(99), x.amax(3).flatten(2).nan_to_num(99))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("every", [0, -1, 7, 1000])
@pytest.mark.parametrize("lanes", [(), (1,), (5,), (2, 3), (17,), (3, 70)])
@pytest.mark.parametrize(("steps", "output_is_record"), [(0, True), (1, True), (15, False), (300, True), (300, False)])
def test_loop_and_adjoint(steps, output_is_record, lanes, every, reverse, dtype):
    p, q = integrator(output_is_record)
    a, s = torch.rand(*lanes, 1, dtype=dtype) * 0.9, torch.randn(*lanes, 1, dtype=dtype)
    x, d_y = torch.randn(2, steps, *lanes, 1, dtype=dtype)
    d_after = torch.randn_like(s)
    y, after, saved = run(p, [a], (), [x], [s], lanes, [1], steps, reverse, every)

    truth = [v.double().requires_grad_() for v in (x, s, a)]
    state, outputs = truth[1], [None] * steps
    for t in reversed(range(steps)) if reverse else range(steps):
        state = truth[2] * state + truth[0][t]
        outputs[t] = state.tanh()
    gain = 1 / (1 - 0.9)
    bound = 64 * eps(dtype) * gain
    loss = (state * d_after).sum()
    if steps:
        near(y, torch.stack(outputs), bound)
        loss = loss + (torch.stack(outputs) * d_y).sum()
    near(after, state, bound * 10)
    d_x, d_s, d_a = torch.autograd.grad(loss, truth, allow_unused=True, materialize_grads=True)
    none = torch.empty(0, dtype=dtype)
    for kept in (saved, saved[:0]):
        arguments = (p.words(), q.words(), [a], [], [x], [s], kept, [], [d_y], [d_after, none])
        actual = torch.ops.feedbackward.scan_backward(*arguments, list(lanes), [1], steps, reverse, every, [], [])
        # Both passes amplify; d_a sums a random walk of products.
        for one, true, terms in zip(actual, (d_x, d_s, d_a), (1, 1, max(steps, 1) ** 0.5), strict=True):
            near(one, true, 10 * bound * gain * terms)


@pytest.mark.parametrize("every", [0, -1, 3])
@pytest.mark.parametrize("lanes", LANES)
def test_adjoint_sees_outputs(lanes, every):
    """A whole output, a view of one, and one beside them that only the caller wants; a second run finds the same."""
    steps, rows = 20, 3
    p = Assembler()
    x = p.slot("sequence", 0, rows)
    unseen, y = p.slot("output", 0, rows), p.slot("output", 1, rows)
    last = p.slot("view", y, 1, 2)
    p.code("neg", unseen, x)
    p.code("add", y, x, x)
    q = Assembler()
    q.code("copy", q.slot("output", 0, rows), q.slot("forward", y, rows))
    q.code("copy", q.slot("output", 1, 1), q.slot("forward", last, 1))
    x = torch.randn(steps, lanes, rows)
    negative, double, saved = run(p, sequences=[x], lanes=[lanes], rows=[rows, rows], steps=steps, every=every)
    assert negative.equal(-x)
    assert double.equal(2 * x)
    for kept in (saved, saved[:0]):
        arguments = (p.words(), q.words(), [], [], [x], [], kept, [], [], [], [lanes], [rows, 1], steps, False, every)
        arguments = (*arguments, [], [])
        whole, part = torch.ops.feedbackward.scan_backward(*arguments)
        assert whole.equal(double)
        assert part.equal(double[..., 2:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("lanes", LANES)
def test_written_outputs_are_read_instead_of_a_replay(lanes, rows, dtype):
    """s[t] = a s[t-1] + x[t] is the output too: all that the adjoint wants is there, in any layout."""
    p = Assembler()
    a, x, s, y = (p.slot(kind, 0, rows) for kind in ("held", "sequence", "state", "output"))
    p.code("fma", y, a, s, x)
    p.code("copy", s, y)
    q = Assembler()
    d_y, g, d_a, d_x = (q.slot(k, i, rows) for k, i in [("sequence", 0), ("state", 0), ("state", 1), ("output", 0)])
    q.code("add", g, g, d_y)
    q.code("mul", d_x, g, q.slot("forward", y, rows))
    q.code("fma", d_a, g, q.slot("forward", s, rows), d_a)
    q.code("mul", g, g, q.slot("forward", a, rows))
    none = torch.empty(0, dtype=dtype)
    for steps, reverse in [(0, False), (1, True), (2, False), (37, True), (1500, False)]:
        a, s, d_s = torch.rand(3, lanes, rows, dtype=dtype)
        x, d_y = torch.randn(2, steps, lanes, rows, dtype=dtype)
        y, _, saved = run(p, [a], (), [x], [s], [lanes], [rows], steps, reverse, 0)
        arguments = (p.words(), q.words(), [a], [], [x], [s])
        rest = ([], [d_y], [d_s, none], [lanes], [rows], steps, reverse, 0)
        expected = torch.ops.feedbackward.scan_backward(*arguments, saved, *rest, [], [])
        last = y.permute(2, 1, 0).contiguous().permute(2, 1, 0)
        backwards = y.flip(0, 1).contiguous().flip(0, 1)
        for written in (y, last, backwards):
            actual = torch.ops.feedbackward.scan_backward(*arguments, saved[:0], *rest, [written], [0])
            assert all(one.equal(other) for one, other in zip(actual, expected, strict=True))
        # What is not known is computed again: the state before, or the output.
        actual = torch.ops.feedbackward.scan_backward(*arguments, saved, *rest, [torch.full_like(y, torch.nan)], [-1])
        assert all(one.equal(other) for one, other in zip(actual, expected, strict=True))


def test_layouts_are_equal_to_contiguous():
    """Any strides, any broadcast axis, channels or time last."""
    steps, lanes, rows = 37, (3, 9), 6
    p = Assembler()
    s = p.slot("state", 0, rows)
    p.code("fma", s, s, p.slot("held", 0, rows), p.slot("sequence", 0, rows))
    p.code("copy", p.slot("output", 0, rows), s)
    x, a, s = torch.randn(steps, *lanes, rows), torch.rand(*lanes, rows), torch.randn(*lanes, rows)

    def through(x, a, s):
        return run(p, [a], (), [x], [s], lanes, [rows], steps)[0]

    truth = through(x, a, s)
    for order in ((0, 1, 2, 3), (1, 2, 3, 0), (3, 0, 1, 2), (1, 0, 2, 3), (2, 3, 1, 0)):
        back = sorted(range(4), key=order.__getitem__)
        assert through(x.permute(order).contiguous().permute(back), a, s).equal(truth), order
    assert through(
        x, a.transpose(0, 2).contiguous().transpose(0, 2), s[..., ::2].repeat_interleave(1, 0)[..., :0]
    ).equal(through(x, a, torch.zeros_like(s)))
    for axis in range(4):
        one = x.narrow(axis, 0, 1).expand_as(x)
        assert through(one, a, s).equal(through(one.contiguous(), a, s)), axis
    assert through(x[:, :1], a[:1, :, :1].expand(-1, -1, rows), s[:, :1]).equal(
        through(x[:, :1].expand_as(x).contiguous(), a[:1, :, :1].expand_as(a).contiguous(), s[:, :1].expand_as(s))
    )


@pytest.mark.parametrize("lanes", LANES)
def test_numbers_do_not_depend_on_neighbors_or_threads(lanes):
    rows, steps = 20, 12
    p = Assembler()
    h, t = p.slot("state", 0, rows), p.slot("temp", 0, rows)
    p.code("dense", t, h)
    p.code("add", t, t, p.slot("sequence", 0, rows))
    p.code("tanh", h, t)
    p.code("copy", p.slot("output", 0, rows), h)
    x, m, s = torch.randn(steps, lanes, rows), torch.randn(rows, rows), torch.randn(lanes, rows)
    y = run(p, (), [m], [x], [s], [lanes], [rows], steps)[0]
    assert run(p, (), [m], [x[:, -1:]], [s[-1:]], [1], [rows], steps)[0].equal(y[:, -1:])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert run(p, (), [m], [x], [s], [lanes], [rows], steps)[0].equal(y)
    finally:
        torch.set_num_threads(threads)


def test_one_bad_lane_stays_alone():
    p, _ = integrator()
    x = torch.randn(50, 20, 1)
    a, s = torch.rand(20, 1), torch.zeros(20, 1)
    truth = run(p, [a], (), [x], [s], [20], [1], 50)[0]
    x[7, 3] = math.nan
    x[9, 4] = math.inf
    y = run(p, [a], (), [x], [s], [20], [1], 50)[0]
    assert y[8:, 3].isnan().all()
    assert y[:, 5:].equal(truth[:, 5:])
    assert y[:, :3].equal(truth[:, :3])


@pytest.mark.parametrize("lanes", [(0,), (3, 0)])
def test_no_lanes(lanes):
    p, _ = integrator()
    x, a = torch.randn(4, *lanes, 1), torch.rand(*lanes, 1)
    y, after, _ = run(p, [a], (), [x], [a], lanes, [1], 4)
    assert y.shape == x.shape
    assert after.shape == a.shape


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "columns"), [(0, 4), (1, 1), (7, 5), (300, 20), (5000, 33)])
@pytest.mark.parametrize(("lower", "upper"), [(0, 0), (1, 2), (8, 8), (0, 40)])
def test_band_outer(rows, columns, lower, upper, dtype):
    d_y, a = torch.randn(2, rows, columns, dtype=dtype)
    w = torch.ops.feedbackward.band_outer(d_y, a, lower, upper)
    full = d_y.double().t() @ a.double()
    truth = torch.zeros(lower + upper + 1, columns, dtype=torch.float64)
    for d in range(lower + upper + 1):
        for i in range(columns):
            if 0 <= i + d - lower < columns:
                truth[d, i] = full[i, i + d - lower]
    near(w, truth, 2 * eps(dtype) * max(rows, 16))  # so far may a random walk and the roundings of its sum go


def test_schema():
    p, q = integrator()
    a, x = torch.rand(5, 1), torch.randn(9, 5, 1)
    arguments = (p.words(), [a], [], [x], [a], [5], [1], 9, False, 0, True)
    opcheck(torch.ops.feedbackward.scan.default, arguments, test_utils="test_schema")
    saved = torch.ops.feedbackward.scan(*arguments)[-1]
    arguments = (p.words(), q.words(), [a], [], [x], [a], saved, [], [x], [a, a], [5], [1], 9, False, 0, [], [])
    opcheck(torch.ops.feedbackward.scan_backward.default, arguments, test_utils="test_schema")
    opcheck(torch.ops.feedbackward.band_outer.default, (a, a, 1, 1), test_utils="test_schema")
