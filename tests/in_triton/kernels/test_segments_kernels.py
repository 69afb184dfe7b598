"""Time in segments: levels of links, lanes that are not tame, what is not a number, and the same bits on every run."""

from __future__ import annotations

import cases
import pytest
import torch
from comparing import compare, near

import feedbackward as fb
from feedbackward import reference
from feedbackward.triton import cascade, segments


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    """Segments of 16 samples and groups of 3, so that short signals have many of both."""
    monkeypatch.setattr(segments, "SHORTEST", 16)
    monkeypatch.setattr(segments, "GROUP", 3)


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize(("order", "count"), [(2, 2), (2, 6), (2, 7), (2, 20), (2, 40), (11, 2), (11, 7), (9, 20)])
def test_links_of_many_levels(device, order, back, held, count):
    lanes = 3
    ends = torch.randn(order, count, lanes, dtype=torch.float64)
    factors = torch.randn(order, order, 1 if held else count, lanes, dtype=torch.float64) / order
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


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the interpreter's, of numpy
@pytest.mark.parametrize(
    ("order", "bad"),
    [(2, segments.LIMIT), (2, torch.inf), (2, torch.nan), (9, segments.LIMIT), (9, torch.nan)],
)
def test_one_bad_entry_makes_a_lane_not_tame(device, order, bad):
    for place in (0, 2, 6):
        ends = torch.zeros(order, 7, 3, device=device)
        factors = torch.zeros(order * order, 7, 3, device=device)
        factors[-1, place, 1] = bad
        assert segments.link(ends, factors)[1].tolist() == [1, 0, 1]
        assert segments.link(ends, factors[:, place : place + 1].contiguous())[1].tolist() == [1, 0, 1]


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
    a[0, 1] = torch.tensor([1.0, -2.2, 1.3])  # among the segments that are linked first
    compare(device, lambda f, b, a, x: f.lfilter(b, a, x, hop=16), {"b": b, "a": a, "x": torch.randn(2, 160).double()})


@pytest.mark.parametrize(("order", "dtype"), [(12, torch.float64), (5, torch.complex128)])
def test_states_that_no_thread_could_link(device, order, dtype):
    """A direct form of high order, one lane of which is unstable."""
    b, a = cases.numerator((2,), order + 1, dtype=dtype), cases.denominator((2,), order + 1, radius=0.6, dtype=dtype)
    a[1] = torch.zeros(order + 1).index_fill(0, torch.tensor(0), 1.0)
    a[1, 1] = -1.3
    inputs = {"b": b, "a": a, "x": torch.randn(2, 53, dtype=dtype), "zi": torch.randn(2, order, dtype=dtype)}
    assert segments.cut_held(2, 53).count == 4
    compare(device, lambda f, b, a, x, zi: f.lfilter(b, a, x, zi=zi), inputs)


@pytest.mark.parametrize(("order", "steps"), [(5, 70), (9, 200)])
def test_moving_coefficients_of_high_order(device, order, steps):
    frames = -(-steps // 8)
    b, a = cases.numerator((frames,), order + 1), cases.denominator((frames,), order + 1, radius=0.6)
    assert segments.cut_frames(1, steps, 8, order).count == 3
    compare(device, lambda f, b, a, x: f.lfilter(b, a, x, hop=8), {"b": b, "a": a, "x": torch.randn(steps).double()})


def test_moving_cascades_are_cut_in_pairs(device, monkeypatch):
    cuts = []

    def noted(*of):
        cut = segments.cut_frames(*of)
        cuts.append((of[-1], cut.count))
        return cut

    monkeypatch.setattr(cascade, "cut_frames", noted)
    sos = torch.cat([cases.numerator((8, 3), 3), cases.denominator((8, 3), 3, radius=0.6)], -1)
    compare(device, lambda f, sos, x: f.sosfilt(sos, x, hop=16), {"sos": sos, "x": torch.randn(2, 120).double()})
    assert set(cuts) == {(4, 8), (2, 8)}


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
