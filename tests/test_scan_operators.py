"""Every operator in a cell, as scan runs it in its loop: values and derivatives, NaN and infinity, against torch."""

from __future__ import annotations

import itertools

import pytest
import scanning
import torch
from scan_operators import DOMAINS, OPERATORS, POINTWISE, anything

import feedbackward as fb
from feedbackward.engine import coupled, lower, move, pointwise, prepare

SPECIAL = (0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -2.5, 1e-3, 30.0, -30.0, 1e30, -1e30, float("inf"), -float("inf"))
SPECIAL += (float("nan"),)
OF_SINGLE_PRECISION = ("celu", "hardsigmoid")  # torch's derivatives in float64 have constants of float32 in them
ONCE_ONLY = ("hardsigmoid",)  # torch has no second derivative


def cell_of(name, domain=anything):
    """What the operator makes of the carry, which is the x of the step before."""
    function = OPERATORS[name]

    def cell(carry, x):
        a, b = carry
        result = function(domain(a), domain(b))
        return x, result if result.dtype.is_floating_point else result.to(a.dtype)

    return cell


def numbers(steps=9, dtype=torch.float64, shape=(3, 4)):
    init = tuple(scanning.randn(*shape, dtype=dtype, scale=1.0) for _ in range(2))
    return init, tuple(scanning.randn(steps, *shape, dtype=dtype, scale=1.0) for _ in range(2))


@pytest.mark.parametrize("name", OPERATORS)
def test_values_and_derivatives(name):
    conditioning = 1e9 if name in OF_SINGLE_PRECISION else 1e3
    cell = cell_of(name, DOMAINS.get(name, anything))
    scanning.check(cell, *numbers(), second=name not in ONCE_ONLY, conditioning=conditioning)


@pytest.mark.parametrize("name", POINTWISE)
def test_float32(name):
    """As near to the truth as torch's own float32 is, up to a few roundings."""
    domain = DOMAINS.get(name, anything)
    init, xs = numbers(dtype=torch.float32)
    wide = [tuple(t.detach().double() for t in part) for part in (init, xs)]
    mine = scanning.outcome(cell_of(name, domain), init, xs)
    theirs = scanning.outcome(cell_of(name, domain), init, xs, backend="eager")
    truth = scanning.outcome(cell_of(name, domain), *wide, backend="eager")
    for part, other, right in zip(mine, theirs, truth, strict=True):
        for a, b, c in zip(part, other, right, strict=True):
            if a.dtype != c.dtype and a.dtype != torch.float32:
                continue
            error = (b.double() - c.double()).abs()
            bound = 4 * error + 16 * torch.finfo(torch.float32).eps * (1 + c.double().abs())
            assert bool(((a.double() - c.double()).abs() <= bound).all()), name


@pytest.mark.parametrize("name", sorted({*POINTWISE} - {"to integers"}))  # integers have no infinity
def test_nan_infinity_and_zero(name):
    """The same values as torch; the same derivatives wherever torch has finite results and derivatives."""
    pairs = torch.tensor(list(itertools.product(SPECIAL, SPECIAL)), dtype=torch.float64)
    rows = pairs.reshape(-1, 4, 2)
    xs = rows[..., 0].reshape(4, -1, 4).contiguous(), rows[..., 1].reshape(4, -1, 4).contiguous()
    init = tuple(torch.ones(xs[0].shape[1:], dtype=torch.float64) for _ in range(2))
    mine = scanning.outcome(cell_of(name), init, xs, check=False)
    truth = scanning.outcome(cell_of(name), init, xs, backend="eager")
    inputs = [torch.cat([i.detach()[None], x.detach()[:-1]]) for i, x in zip(init, xs, strict=True)]
    y, y_true = mine.values[-1].detach(), truth.values[-1].detach()
    wrong = difference("value", inputs, y, y_true, torch.isclose(y, y_true, rtol=1e-12, atol=1e-15, equal_nan=True))
    rtol = 1e-6 if name in OF_SINGLE_PRECISION else 1e-10
    for which, n in (("d / da", 0), ("d / db", 1)):
        g, g_true = (torch.cat([o.gradients[n][None], o.gradients[n + 2][:-1]]) for o in (mine, truth))
        same = torch.isclose(g, g_true, rtol=rtol, atol=1e-15) | ~g_true.isfinite() | ~y_true.isfinite()
        wrong += difference(which, inputs, g, g_true, same)
    assert not wrong, "a, b, what scan has, what torch has\n" + "\n".join(wrong)


@pytest.mark.parametrize("base", [10.0, 0.5, 1.0, 0.0, -2.0])
def test_powers_of_a_number(base):
    def cell(g, x):
        g = 0.9 * g + x
        return g, base**g

    init, xs = torch.zeros(3, dtype=torch.float64), torch.tensor([[0.0, 1.0, -1.0], [0.0, 0.1, 3.9]]).double()
    mine = scanning.outcome(cell, init, xs, check=False)
    truth = scanning.outcome(cell, init, xs, backend="eager")
    torch.testing.assert_close(mine.values[1], truth.values[1], equal_nan=True)
    torch.testing.assert_close(mine.gradients, truth.gradients, equal_nan=True)


def test_what_derivatives_make_of_numbers_alone_is_no_instruction():
    def cell(g, x):
        g = 0.9 * g + x
        return g, 10 ** (g / 20)

    adjoint = fb.explain_cell(cell, torch.zeros(4), torch.zeros(3, 4)).adjoint
    assert not [line for line in adjoint if "10" in line.split() or "(20)" in line or "(10)" in line], adjoint


def difference(what, inputs, mine, truth, same):
    rows = zip(*(t[~same].tolist() for t in (*inputs, mine, truth)), strict=True)
    return [f"{what}: {row}" for row in rows]


def test_every_operator_is_tested(monkeypatch):
    """Every name that scan knows is that of a function here, or of what such a function is made of."""
    traces = []
    trace_of = prepare.trace
    monkeypatch.setattr(prepare, "trace", lambda *a, **k: traces.append(trace_of(*a, **k)) or traces[-1])
    for name in OPERATORS:
        fb.scan(cell_of(name), *numbers(2), check=False)
    reached = {name.split()[0] for name in OPERATORS}
    for trace in traces:
        kinds = lower.dependencies(trace)
        nodes = (n for n in trace.module.graph.nodes if n.op == "call_function" and kinds[n] == lower.LOOP)
        reached |= {lower.base_name(n) for n in nodes}
    known = {*pointwise.POINTWISE, *move.MOVES, *coupled.COUPLED}
    assert {n for n in known if not {n, n.removesuffix("_copy")} & reached} == set()
