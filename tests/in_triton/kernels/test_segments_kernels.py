"""Time in segments: levels of links, lanes that are not tame, what is not a number, and the same bits on every run."""

from __future__ import annotations

import cases
import pytest
import torch
from comparing import compare, near

import feedbackward as fb
from feedbackward import reference
from feedbackward.triton import segments


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    """Segments of 16 samples and groups of 3, so that short signals have many of both."""
    monkeypatch.setattr(segments, "SHORTEST", 16)
    monkeypatch.setattr(segments, "GROUP", 3)


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("count", [2, 6, 7, 20, 40])
def test_links_of_many_levels(device, back, held, count):
    order, lanes = 2, 3
    ends = torch.randn(order, count, lanes, dtype=torch.float64)
    factors = torch.randn(order, order, 1 if held else count, lanes, dtype=torch.float64) / 2
    starts, tame = segments.link(ends.to(device), factors.flatten(0, 1).to(device), back=back)
    state = torch.zeros(order, lanes, dtype=torch.float64)
    places = range(count)
    for turn, k in enumerate(reversed(places) if back else places):
        if turn:
            near(starts[:, k], state, f"segment {k}")
        factor = factors[:, :, 0 if held else k]
        moved = torch.einsum("jin,jn->in" if back else "ijn,jn->in", factor, state)
        state = ends[:, k] + (moved if turn else 0)
    assert tame.all()


def test_lanes_that_are_not_tame_walk(device):
    """One unstable filter among stable ones: its states would lose all digits in a link."""
    a = torch.tensor([[1.0, -0.5, 0.1], [1.0, -1.8, 1.2], [1.0, -1.9, 0.95]], dtype=torch.float64)
    inputs = {
        "b": cases.numerator((3,), 3),
        "a": a,
        "x": torch.randn(3, 100).double(),
        "zi": torch.randn(3, 2).double(),
    }
    state = torch.linalg.matrix_power(torch.tensor([[1.8, 1.0], [-1.2, 0.0]]), 96)
    assert state.abs().max() > segments.LIMIT
    compare(device, lambda f, b, a, x, zi: f.lfilter(b, a, x, zi=zi), inputs)


@pytest.mark.parametrize("lanes", [20, 130])
def test_walks_among_lanes_that_share_a_signal(device, lanes):
    b, a = cases.numerator((lanes,), 3), cases.denominator((lanes,), 3, radius=0.6)
    a[3] = torch.tensor([1.0, -2.5, 1.4])
    inputs = {"b": b, "a": a, "x": torch.randn(2, 1, 36).double()}
    compare(device, lambda f, b, a, x: f.lfilter(b, a, x), inputs)


def test_unstable_decays_walk(device):
    decay = torch.tensor([0.5, 1.4, -0.9], dtype=torch.float64)
    inputs = {"decay": decay, "x": torch.randn(2, 3, 70).double(), "initial": torch.randn(2, 3).double()}
    compare(device, lambda f, d, x, initial: f.linear_recurrence(d, x, initial), inputs)
    varying = torch.rand(3, 70, dtype=torch.float64)
    varying[1] += 0.7
    inputs |= {"decay": varying, "x": torch.randn(3, 70).double(), "initial": torch.randn(3).double()}
    compare(device, lambda f, d, x, initial: f.linear_recurrence(d, x, initial), inputs)


def test_moving_coefficients_that_are_unstable_for_a_while(device):
    b, a = cases.numerator((2, 10), 3), cases.denominator((2, 10), 3, radius=0.6)
    a[1, 4:7] = torch.tensor([1.0, -2.2, 1.3])
    compare(device, lambda f, b, a, x: f.lfilter(b, a, x, hop=16), {"b": b, "a": a, "x": torch.randn(2, 160).double()})


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the interpreter's, of numpy
def test_what_is_not_a_number_stays_in_its_lane(device):
    b, a = (t.to(device) for t in (cases.numerator((3,), 3), cases.denominator((3,), 3)))
    x = torch.randn(3, 100, dtype=torch.float64, device=device)
    clean = fb.lfilter(b, a, x)
    for bad in (torch.nan, torch.inf):
        spoiled = x.clone()
        spoiled[1, 40] = bad
        y = fb.lfilter(b, a, spoiled)
        torch.testing.assert_close(y[[0, 2]], clean[[0, 2]], rtol=0, atol=0)
        torch.testing.assert_close(y[1, :40], clean[1, :40], rtol=0, atol=0)
        assert not y[1, 40:].isfinite().any()
        without_feedback = fb.lfilter(b, torch.ones(1, dtype=b.dtype, device=device), spoiled)
        assert (~without_feedback.isfinite()).sum() == 3


def test_no_feedback_needs_no_factors(device):
    inputs = {"b": cases.numerator((2,), 4), "a": torch.tensor([2.0]).double(), "x": torch.randn(2, 70).double()}
    compare(device, lambda f, b, a, x: f.lfilter(b, a, x), inputs)


def test_one_long_signal(device, monkeypatch):
    monkeypatch.setattr(segments, "SHORTEST", 32)
    b, a = cases.numerator((), 3), cases.denominator((), 3, radius=0.95)
    x = torch.randn(2100, dtype=torch.float64)
    near(fb.lfilter(b.to(device), a.to(device), x.to(device)), reference.lfilter(b, a, x), "y")


def test_the_same_bits_on_every_run(device):
    def run():
        leaves = [t.to(device).requires_grad_() for t in (b, a, x)]
        y = fb.lfilter(*leaves)
        return y, *torch.autograd.grad(y.square().sum(), leaves)

    b, a, x = cases.numerator((17,), 3), cases.denominator((17,), 3), torch.randn(2, 1, 50, dtype=torch.float64)
    for first, second in zip(run(), run(), strict=True):
        assert torch.equal(first, second)
