"""What `fb.explain` says of filters whose coefficients or signals are complex: against scipy, number by number."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch

import feedbackward as fb
from feedbackward.watch.model import difference
from feedbackward.watch.numerals import difference_equation, latex, listed, text

REAL, COMPLEX = torch.float64, torch.complex128
T = 25


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(
        torch.as_tensor(a).to(COMPLEX), torch.as_tensor(b).to(COMPLEX), rtol=tolerance, atol=tolerance
    )


def coefficients(dtype, order=3):
    """b and a, with poles inside of the unit circle and a_0 = 2."""
    rng = np.random.default_rng(order)
    roots = rng.uniform(0.3, 0.9, order) * np.exp(1j * rng.uniform(-3, 3, order))
    a = torch.as_tensor(np.poly(roots if dtype.is_complex else roots.real))
    return torch.randn(order + 1, dtype=dtype), 2.0 * a.to(dtype)


@pytest.mark.parametrize(
    ("b_and_a", "signal", "state"),
    [
        (COMPLEX, COMPLEX, COMPLEX),
        (COMPLEX, REAL, None),
        (REAL, COMPLEX, None),
        (REAL, REAL, COMPLEX),
        (torch.complex64, torch.float32, None),
    ],
)
def test_every_state_and_output_of_an_lfilter(b_and_a, signal, state):
    b, a = coefficients(b_and_a)
    x = torch.randn(T, dtype=signal)
    before = np.zeros(3, complex) if state is None else torch.randn(3, dtype=state).numpy(force=True)
    zi = None if state is None else torch.as_tensor(before)
    watched = fb.explain(fb.lfilter, b, a, x, zi=zi)
    tolerance = 1e-4 if b_and_a is torch.complex64 else 1e-9
    (check,) = watched.checks
    assert check.holds
    assert check.bound < 1e-9 or b_and_a is torch.complex64
    for t, step in enumerate(watched.steps):
        v = step["filter"]
        y, after = scipy.signal.lfilter(
            b.numpy(force=True), a.numpy(force=True), x[t : t + 1].numpy(force=True), zi=before
        )
        close(v["x"], x[t : t + 1], tolerance)
        close(v["y"], y, tolerance)
        close(v["s before"], before, tolerance)
        close(v["s after"], after, tolerance)
        close(v["s after"], v["b x"] + v["s shifted"] + v["-a y"], tolerance)
        assert v["y"].is_complex()
        assert v["x"].is_complex() == signal.is_complex  # a real signal is shown as one
        before = after
    (found,) = watched.details.filters
    assert watched.details.is_complex == found.b.is_complex() == b_and_a.is_complex
    close(found.b[0], b / 2, tolerance)


@pytest.mark.parametrize("start", [0, 9])
def test_every_section_of_a_cascade(start):
    first, second = coefficients(COMPLEX, 2), coefficients(COMPLEX, 2)[::-1]
    sos = torch.stack([torch.cat(first), torch.cat(second)])
    x = torch.randn(2, T, dtype=COMPLEX)
    watched = fb.explain(fb.sosfilt, sos, x, start=start)
    assert all(check.holds for check in watched.checks)
    y = x.numpy(force=True)
    for k, (b, a) in enumerate((first, second)):
        y = scipy.signal.lfilter(b.numpy(force=True), a.numpy(force=True), y)
        close(watched.run.track(f"section {k}")["y"].values[..., 0].T, y[:, start:])


@pytest.mark.parametrize("way", ["hold", "linear"])
def test_coefficients_that_change(way):
    b, a = torch.randn(5, 2, dtype=COMPLEX), 0.3 * torch.randn(5, 2, dtype=COMPLEX)
    a[:, 0] = 1.0
    x = torch.randn(T)
    y = fb.reference.lfilter(b, a, x.double(), hop=5, interpolation=way)
    watched = fb.explain(fb.lfilter, b, a, x.double(), hop=5, interpolation=way, start=7)
    assert all(check.holds for check in watched.checks)
    track = watched.run.track("filter")
    close(track["y"].values[:, 0], y[7:])
    close(track["b"].values[0], b[1] + (b[2] - b[1]) * (0.4 if way == "linear" else 0))
    watched = fb.explain(fb.lfilter, b.real, 0.5 * a.real, x + 0j, hop=5)
    assert not watched.run.track("filter")["a"].values.is_complex()  # the signal's part that they do not have


def test_modules_take_complex_signals():
    x = torch.randn(2, T, dtype=torch.complex64)
    for module in (fb.nn.SOSFilter(2), fb.nn.FilterBank(3, 8e3), fb.nn.LFilter.from_ba([0.2, 0.3], [1.0, -0.5])):
        watched = fb.explain(module, x)
        assert all(check.holds for check in watched.checks)
        with torch.no_grad():
            y = module(x)
        y = y[0] if isinstance(y, tuple) else y
        close(watched.run.tracks[-1]["y"].values.flatten().abs().sort().values, y.flatten().abs().sort().values, 1e-5)
        assert not watched.details.is_complex
        assert watched.details.frequency[0] > 0
        assert any("coefficients are real" in note for note in watched.notes)


def test_poles_zeros_and_response_on_both_sides():
    b, a = coefficients(COMPLEX)
    watched = fb.explain(fb.lfilter, b, a, torch.randn(T), sample_rate=8000.0)
    (found,), frequency = watched.details.filters, watched.details.frequency
    for mine, theirs in ((found.poles, np.roots(a.numpy(force=True))), (found.zeros, np.roots(b.numpy(force=True)))):
        np.testing.assert_allclose(np.sort_complex(mine), np.sort_complex(theirs), atol=1e-9)
    np.testing.assert_allclose(frequency, -frequency[::-1])
    assert frequency[-1] == pytest.approx(4000.0, rel=1e-5)
    _, h = scipy.signal.freqz(b.numpy(force=True), a.numpy(force=True), frequency, fs=8000.0)
    np.testing.assert_allclose(found.decibels, 20 * np.log10(np.abs(h)), atol=1e-9)
    np.testing.assert_allclose(np.exp(1j * np.radians(found.degrees)), h / np.abs(h), atol=1e-9)
    assert abs(found.degrees[len(frequency) // 2]) <= 180
    assert any("f and its negative" in note for note in watched.notes)
    ticks = [label for _, label in watched.details.magnitude().x_ticks]
    assert ticks == ["−2.5k", "0", "2.5k"]


def test_where_the_outermost_pole_is_has_a_sign():
    a = torch.tensor([1.0, -0.9 * np.exp(-0.5j * np.pi)])
    printed = str(fb.explain(fb.lfilter, torch.ones(1), a, torch.ones(9), sample_rate=4000.0))
    assert "-1000" in printed
    assert "0-0.9i" in printed


def test_a_terminal_shows_both_parts():
    x = torch.tensor([0.25 - 0.5j, 1j])
    printed = str(fb.explain(fb.lfilter, torch.tensor([1.0]), torch.tensor([1.0, 0.5j]), x))
    assert "0.25-0.5i" in printed
    assert "0.25+0.875i" in printed  # y[1] = 1i - 0.5i (0.25-0.5i) = -0.25 + 0.875i
    assert "|0.5|" in printed
    assert "a complex signal of 2 samples" in printed


def test_a_difference_sees_the_imaginary_part():
    one = torch.tensor([1 + 1j, float("inf") * 1j])
    assert difference(one, one.clone()) == 0
    assert difference(one[:1], torch.tensor([1 + 4j])) == 3


def test_conjugated_views_are_what_they_stand_for():
    b, a = (c.conj() for c in coefficients(COMPLEX))
    x = torch.randn(9, dtype=COMPLEX).conj()
    watched = fb.explain(fb.lfilter, b, a, x)
    y = scipy.signal.lfilter(*(t.numpy(force=True) for t in (b, a, x)))
    close(watched.run.track("filter")["y"].values[:, 0], y)
    assert "imaginary part" in watched.html()


def test_a_wrong_result_is_seen(monkeypatch):
    from feedbackward.watch import filter_call
    from feedbackward.watch.filter import explain_filter
    from feedbackward.watch.model import Limits

    def conjugated(b, a, x):
        return fb.lfilter(b, a, x).conj()

    b, a = coefficients(COMPLEX)
    call = filter_call.of_function(conjugated, (b, a, torch.randn(T, dtype=COMPLEX)), {}, Limits(), None)
    assert not explain_filter(call, Limits()).checks[0].holds


def test_numbers_are_readable():
    assert [text(v) for v in (0.25 - 0.5j, -1, 2 + 0j, 1j)] == ["0.25-0.5i", "-1", "2", "0+1i"]
    assert [latex(v) for v in (1, 0.5 + 2j, -1j)] == ["", r"(0.5 + 2\,i)\,", r"-1\,i\,"]
    assert difference_equation([0.5 + 1j, -2j, 0], [1, -0.25j, 1j]) == (
        r"y[n] = (0.5 + 1\,i)\,x[n] - 2\,i\,x[n-1] + 0.25\,i\,y[n-1] - 1\,i\,y[n-2]"
    )
    assert listed(np.array([0.5 + 0.5j, 2, 0.5 - 0.5j, 0.1j, 3, 4, 5])) == ["0.5±0.5i", "2", "0+0.1i", "3", "2 more"]
