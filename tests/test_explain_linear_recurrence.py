"""What `fb.explain` says of linear recurrences: its steps, what every x still has in a state, and how states forget."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import torch

import feedbackward as fb
from feedbackward.watch.model import Limits
from feedbackward.watch.recurrence import explain_recurrence
from feedbackward.watch.recurrence_call import of_call

T = 20
REAL, COMPLEX = torch.float64, torch.complex128


def close(a, b, tolerance=1e-12):
    torch.testing.assert_close(
        torch.as_tensor(a).to(COMPLEX), torch.as_tensor(b).to(COMPLEX), rtol=tolerance, atol=tolerance
    )


def decays(*shape, dtype=REAL):
    size = torch.rand(shape, dtype=REAL)
    return torch.polar(size, 6 * torch.rand(shape, dtype=REAL)) if dtype.is_complex else size


def noise(*shape, dtype=REAL):
    return torch.randn(*shape, dtype=dtype)


CASES = {
    "a number": (0.9, (T,), -1, None),
    "a complex number": (0.5 + 0.5j, (T,), -1, None),
    "a decay per channel": ((5,), (3, 5, T), -1, (5,)),
    "one that changes": ((3, T, 5), (3, T, 5), 1, (3, 5)),
    "shared by channels": ((3, T, 1), (3, T, 5), 1, None),
    "shared by the batch": ((T, 1, 5), (T, 3, 5), 0, None),
    "several axes of channels": ((4, 2), (T, 3, 4, 2), 0, None),
    "a state with more axes": ((), (T,), -1, (2, 3)),
    "x shared by channels": ((4, 1), (1, T), -1, None),
}


@pytest.mark.parametrize("dtype", [REAL, COMPLEX], ids=["real", "complex"])
@pytest.mark.parametrize("start", [0, 7])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_term_of_every_step(case, start, dtype):
    shape, of_x, dim, of_initial = case
    decay = decays(*shape, dtype=dtype) if isinstance(shape, tuple) else shape
    x, initial = noise(*of_x), None if of_initial is None else noise(*of_initial, dtype=dtype)
    h = fb.reference.linear_recurrence(decay, x, initial, dim)
    watched = fb.explain(fb.linear_recurrence, decay, x, initial, dim, start=start)
    assert all(check.holds for check in watched.checks)
    assert all(check.bound < 1e-12 for check in watched.checks)
    dim = dim if dim < 0 else dim - x.ndim
    h = h.movedim(dim, 0)
    batch = h.ndim > 2
    first = torch.zeros_like(h[0]) if initial is None else initial.to(h.dtype).expand_as(h[0])
    for i, step in enumerate(watched.steps):
        assert step.time == start + i
        v = step["recurrence"]
        flat = h[step.time].reshape(h.shape[1], -1) if batch else h[step.time].reshape(-1)
        before = (h[step.time - 1] if step.time else first).reshape(flat.shape)
        close(v["h after"], flat)
        close(v["h before"], before)
        close(v["decay h"], v["decay"] * before)
        close(v["h after"], v["decay h"] + v["x"])
        assert not v["x"].is_complex()  # as it is given
    assert [c.total for c in watched.run.choices] == ([h.shape[1]] if batch else [])


@pytest.mark.parametrize("dtype", [REAL, COMPLEX], ids=["real", "complex"])
def test_what_every_x_still_has_in_a_state(dtype):
    decay, x, initial = decays(2, T, 3, dtype=dtype), noise(2, T, 3, dtype=dtype), noise(2, 3, dtype=dtype)
    weights = fb.explain(fb.linear_recurrence, decay, x, initial, 1).details.weights
    assert weights.shape == (T, 2, 3, 1 + T)
    for t in range(T):
        for k in range(-1, T):
            expected = decay[:, k + 1 : t + 1].prod(1) if k <= t else torch.zeros(2, 3)
            close(weights[t, ..., k + 1], expected)


def test_weights_of_a_decay_that_all_share_are_held_once():
    watched = fb.explain(fb.linear_recurrence, 0.5, noise(3, 4, T))
    assert watched.details.weights.shape == (T, 1, 1, 1 + T)
    close(watched.details.weights[3, 0, 0, :6], [0.0625, 0.125, 0.25, 0.5, 1, 0])
    assert watched.details.decays[0].name == "all channels"


def test_how_states_forget():
    decay = torch.tensor([0.5, 0.25j, -1.0, 1.5, 0.0], dtype=COMPLEX)
    found = fb.explain(fb.linear_recurrence, decay, noise(5, T), sample_rate=1000.0).details
    assert [d.half_life for d in found.decays] == pytest.approx([1, 0.5, math.inf, math.inf, 0])
    assert [d.period for d in found.decays] == pytest.approx([math.inf, 4, 2, math.inf, math.inf])
    rows = list(found.rows())
    assert rows[1] == ("channel 1", "0+0.25i", "0.5", "0.5", "4 steps", "yes")
    assert rows[2] == ("channel 2", "-1", "∞", "∞", "2 steps", "no")
    assert found.columns() == ("", "decay", "half-life in steps", "half-life in ms", "turns once in", "forgets")
    watched = fb.explain(fb.linear_recurrence, decay, noise(5, T))
    assert any("larger than 1" in note for note in watched.notes)


def test_a_decay_that_changes_is_told_by_its_range_and_its_mean():
    decay = torch.tensor([0.5, 0.125, 0.25])
    (found,) = fb.explain(fb.linear_recurrence, decay, torch.ones(3), steps=2).details.decays
    assert (found.value, found.smallest, found.largest) == (None, 0.125, 0.5)
    assert found.half_life == pytest.approx(0.5)  # it keeps a quarter on geometric average, over all steps of the call


def test_constant_decays_have_the_response_of_a_filter_with_one_pole():
    decay = torch.tensor([0.9, 0.5 + 0.3j], dtype=COMPLEX)
    bank = fb.explain(fb.linear_recurrence, decay, noise(2, T), sample_rate=8000.0).details.bank
    for d, found in zip(decay.tolist(), bank.filters, strict=True):
        np.testing.assert_allclose(found.poles, [d])
        _, h = scipy.signal.freqz([1.0], [1.0, -d], bank.frequency, fs=8000.0)
        np.testing.assert_allclose(found.decibels, 20 * np.log10(np.abs(h)), atol=1e-9)
    assert fb.explain(fb.linear_recurrence, decays(T), noise(T)).details.bank is None


def test_limits_choose_steps_elements_and_channels():
    decay, x = decays(7, 100, 9), noise(7, 100, 9)
    watched = fb.explain(fb.linear_recurrence, decay, x, dim=1, start=90, elements=2, channels=4)
    assert (watched.run.start, watched.run.steps, watched.run.total) == (90, 10, 100)
    assert watched.run.track("recurrence")["h after"].values.shape == (10, 2, 9)
    assert watched.details.weights.shape == (10, 2, 4, 11)
    assert any("2 of 7 batch elements are shown" in limit for limit in watched.limits)
    assert all(check.holds for check in watched.checks)
    assert [a.axes for a in watched.axes] == [(("batch", 7), ("time", 100), ("channels", 9))] * 3


def test_a_long_stretch_has_the_weights_of_its_first_steps():
    watched = fb.explain(fb.linear_recurrence, decays(3, 2000), noise(3, 2000), steps=2000)
    assert watched.details.weights.shape == (512, 1, 3, 513)
    assert all(check.holds for check in watched.checks)
    assert "the first 512 states shown" in watched.checks[1].what
    assert len(watched.steps) == 2000
    many = fb.explain(fb.linear_recurrence, decays(16, 3, 1), noise(16, 3, 600), steps=600, elements=16)
    assert many.details.weights.shape == (512, 16, 1, 513)  # of the first channel: no more fit
    assert all(check.holds for check in many.checks)


def test_axes_and_weights_have_names():
    watched = fb.explain(fb.linear_recurrence, decays(5), noise(3, 5, T), noise(3, 1))
    assert {a.name: a.axes for a in watched.axes} == {
        "x": (("batch", 3), ("channels", 5), ("time", T)),
        "decay": (("channels", 5),),
        "initial": (("batch", 3), ("channels", 1)),
        "h": (("batch", 3), ("channels", 5), ("time", T)),
    }
    assert [(w.name, w.axes) for w in watched.weights] == [("decay", ("channels",)), ("initial", ("batch", "channels"))]
    assert [w.name for w in fb.explain(fb.linear_recurrence, decays(T), noise(T)).weights] == []


@pytest.mark.parametrize("decay", [0.999, 1.0, -1.0, 1.5, 0.9 + 0.2j, float("nan"), float("inf")])
@pytest.mark.parametrize("start", [0, 30_000])
def test_long_and_unstable_ones_agree_with_the_kernel(decay, start):
    x = torch.randn(30_100)  # one lane: the kernel cuts its time into segments
    watched = fb.explain(fb.linear_recurrence, decay, x, start=start, steps=100)
    assert all(check.holds for check in watched.checks), watched.checks
    assert "<title>fb.linear_recurrence</title>" in watched.html()


def test_an_unstable_lane_hides_nothing_in_another():
    decay, x = torch.tensor([1.5, 0.5]), torch.randn(2, T)

    def slightly_off(decay, x):
        h = fb.linear_recurrence(decay, x)
        h[1, 10:] += 1e-4
        return h

    watched = explained_as(slightly_off, decay, x)
    assert not any(check.holds for check in watched.checks)
    assert watched.checks[0].difference == pytest.approx(1e-4, rel=0.01)


def explained_as(function, *args):
    """The explanation of a call that a wrong function answers."""
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr("feedbackward.watch.recurrence_call.linear_recurrence", function)
        return explain_recurrence(of_call(args, {}, Limits(), None), Limits())


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_a_wrong_result_is_seen(dtype):
    decay, x = decays(4, dtype=dtype).to(dtype), noise(4, T, dtype=dtype)
    assert all(check.holds for check in explained_as(fb.linear_recurrence, decay, x).checks)
    for wrong in (
        lambda decay, x: fb.linear_recurrence(decay * (1 + 1e-4), x),
        lambda decay, x: fb.linear_recurrence(decay, x) + 1e-4,
        lambda decay, x: fb.linear_recurrence(decay, x.roll(1, 0)),
    ):
        assert not any(check.holds for check in explained_as(wrong, decay, x).checks)


def test_in_a_terminal():
    printed = str(fb.explain(fb.linear_recurrence, decays(3, 40, 8), noise(3, 40, 8), dim=1))
    assert "h[t] = decay[t] h[t-1] + x[t]" in printed
    assert "40 steps of a state of 8 channels, 3 sequences side by side, with a decay that changes in time" in printed
    assert "batch element 0, channel 7" in printed
    assert max(map(len, printed.splitlines())) <= 110
    header = next(line for line in printed.splitlines() if line.split()[:2] == ["t", "x"])
    assert header.split() == ["t", "x", "decay", "h"]
    step = str(fb.explain(fb.linear_recurrence, 0.5j, torch.ones(3)).steps[1])
    assert "0+0.5i" in step
    assert "1+0.5i" in step


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        ((0.5, torch.ones(5)), {"start": 5}, ValueError, "start is 5, but x has 5 steps"),
        ((0.5, torch.ones(0)), {}, ValueError, r"h has shape \(0,\), expected at least one step and one channel"),
        ((0.5, torch.ones(5, 0)), {"dim": 0}, ValueError, "expected at least one step and one channel"),
        ((0.5, torch.ones(5)), {"sample_rate": -1.0}, ValueError, "sample_rate is -1.0, expected a positive number"),
        ((0.5,), {}, TypeError, "fb.linear_recurrence cannot be called with these arguments: missing .* 'x'"),
        ((torch.ones(2, 3), torch.ones(3)), {}, ValueError, "decay has shape"),
        (("a", torch.ones(3)), {}, TypeError, "decay is a str"),
    ],
)
def test_refusals(arguments, options, error, says):
    with pytest.raises(error, match=says):
        fb.explain(fb.linear_recurrence, *arguments, **options)
