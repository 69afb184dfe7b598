"""What `fb.explain` says of filters: its steps against scipy's, its poles, zeros and responses against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch

import feedbackward as fb

T = 30


def close(a, b, tolerance=1e-9):
    torch.testing.assert_close(torch.as_tensor(a).double(), torch.as_tensor(b).double(), rtol=tolerance, atol=tolerance)


def signal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def sections(order=6):
    return torch.as_tensor(scipy.signal.ellip(order, 1, 60, 0.2, output="sos"))


@pytest.mark.parametrize(("nb", "na"), [(3, 3), (1, 4), (5, 2), (1, 1), (4, 1)])
def test_every_state_and_output_of_an_lfilter(nb, na):
    b, x = signal(nb), signal(T)
    a = torch.as_tensor(np.atleast_1d(np.poly(np.random.default_rng(nb).uniform(-0.9, 0.9, na - 1)))) * 2.0
    n = max(nb, na) - 1
    state = signal(n)
    watched = fb.explain(fb.lfilter, b, a, x, zi=state)
    assert all(check.holds for check in watched.checks)
    assert "All coefficients are divided by a_0 first." in watched.notes
    for t, step in enumerate(watched.steps):
        v = step["filter"]
        y, after = scipy.signal.lfilter(
            b.numpy(force=True), a.numpy(force=True), x[t : t + 1].numpy(force=True), zi=state.numpy(force=True)
        )
        close(v["y"], y)
        if n:
            close(v["s before"], state)
            close(v["s after"], after)
            close(v["s after"], v["b x"] + v["s shifted"] + v["-a y"])
            close(v["y"], v["b0 x"] + v["s before"][:1])
        state = torch.as_tensor(after)


@pytest.mark.parametrize("start", [0, 17])
def test_every_section_of_a_cascade(start):
    sos, x = sections(), signal(2, 40)
    watched = fb.explain(fb.sosfilt, sos, x, start=start, steps=T - start)
    assert all(check.holds for check in watched.checks)
    assert [t.name for t in watched.run.tracks] == ["section 0", "section 1", "section 2"]
    zi = np.zeros((3, 2, 2))
    for t in range(T):
        before = zi
        y, zi = scipy.signal.sosfilt(sos.numpy(force=True), x[:, t : t + 1].numpy(force=True), zi=zi)
        if t < start:
            continue
        step = watched.steps[t - start]
        for k in range(3):
            close(step[f"section {k}"]["s before"], before[k])
            close(step[f"section {k}"]["s after"], zi[k])
        close(step["section 2"]["y"], y)
        close(step["section 1"]["x"], step["section 0"]["y"])


def test_a_bank_is_shown_by_filter_and_signal():
    bank = fb.nn.FilterBank(40, 16000.0)
    x = torch.randn(3, 100)
    with torch.no_grad():
        y = bank(x)
    watched = fb.explain(bank, x, filters=5, elements=2)
    assert [(c.name, c.places, c.total) for c in watched.run.choices] == [
        ("filter", (0, 10, 20, 29, 39), 40),
        ("signal", (0, 1), 3),
    ]
    values = watched.run.track("filter")["y"].values  # (steps, filters, signals, 1)
    close(values[..., 0].permute(2, 1, 0), y[:2, [0, 10, 20, 29, 39], :64], 1e-5)
    assert any("5 of 40 filters are shown" in limit for limit in watched.limits)
    assert watched.details.sample_rate == 16000.0
    assert watched.details.outlines.shape == (40, 240)


def test_axes_of_filters_and_signals_may_be_anywhere():
    b, a, x = signal(4, 1, 3), torch.tensor([1.0, -0.5], dtype=torch.float64), signal(T, 2)
    watched = fb.explain(fb.lfilter, b, a, x, 0)
    y = scipy.signal.lfilter(*(t.numpy(force=True) for t in (b[2, 0], a, x[:, 1])))
    close(watched.run.track("filter")["y"].values[:, 2, 1, 0], y)


@pytest.mark.parametrize("way", ["hold", "linear"])
@pytest.mark.parametrize("start", [0, 8, 13])
def test_coefficients_that_change(way, start):
    frames, hop = 5, 8
    b, a = signal(frames, 3), 0.2 * signal(frames, 3)
    a[:, 0] = 1.0
    x = signal(frames * hop)
    y = fb.reference.lfilter(b, a, x, hop=hop, interpolation=way)
    watched = fb.explain(fb.lfilter, b, a, x, hop=hop, interpolation=way, start=start, steps=20)
    assert all(check.holds for check in watched.checks)
    track = watched.run.track("filter")
    close(track["y"].values[:, 0], y[start : start + 20])
    f, rest = divmod(start, hop)
    expected = b[f] + (b[f + 1] - b[f]) * (rest / hop if way == "linear" else 0)
    close(track["b"].values[0], expected)


def test_modules_and_their_states():
    x = torch.randn(2, 50)
    for module in (
        fb.nn.SOSFilter(3, shape=(2,)),
        fb.nn.LFilter.from_ba([0.2, 0.3], [1.0, -0.5]),
        fb.nn.FilterBank(2, 8e3),
    ):
        with torch.no_grad():
            state = module(x[:, :20], None)[1]
            second = module(x[:, 20:], state)[0]
        watched = fb.explain(module, x[:, 20:], state)
        assert all(check.holds for check in watched.checks)
        y = watched.run.tracks[-1]["y"].values
        close(y.flatten().sort().values, second.flatten().sort().values, 1e-5)
        assert watched.weights[-1].name in ("sos", "a")


def sorted_roots(roots):
    return np.array(sorted(np.round(roots, 6), key=lambda z: (z.real, z.imag)))


def test_poles_zeros_and_response():
    sos = sections(5)
    (found,) = fb.explain(fb.sosfilt, sos, signal(10), sample_rate=8000.0).details.filters
    z, p, _ = scipy.signal.sos2zpk(sos.numpy(force=True))
    np.testing.assert_allclose(sorted_roots(found.poles), sorted_roots(p[p != 0]), atol=1e-6)
    np.testing.assert_allclose(sorted_roots(found.zeros), sorted_roots(z[z != 0]), atol=1e-6)
    frequency = fb.explain(fb.sosfilt, sos, signal(10), sample_rate=8000.0).details.frequency
    _, h = scipy.signal.sosfreqz(sos.numpy(force=True), frequency, fs=8000.0)
    np.testing.assert_allclose(found.decibels, 20 * np.log10(np.abs(h)), atol=1e-6)
    np.testing.assert_allclose(np.exp(1j * np.radians(found.degrees)), h / np.abs(h), atol=1e-6)
    assert found.radius == pytest.approx(np.abs(p).max())


def test_the_equation_has_the_numbers():
    b, a = torch.tensor([0.5, 0.0, -2e-7]), torch.tensor([2.0, -1.0])
    (found,) = fb.explain(fb.lfilter, b, a, torch.ones(3)).details.filters
    assert found.equations() == (r"y[n] = 0.25\,x[n] - 1 \cdot 10^{-7}\,x[n-2] + 0.5\,y[n-1]",)


def test_an_unstable_filter_says_so():
    watched = fb.explain(fb.lfilter, torch.ones(1), torch.tensor([1.0, -1.5]), torch.ones(300), start=250)
    assert "Not stable" in watched.html()
    assert "no" in str(watched)
    assert all(check.holds for check in watched.checks)  # inf equals inf


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), complex(1, float("nan"))])
def test_coefficients_that_are_not_finite_can_be_watched(wrong):
    x = torch.randn(20)
    for b, a in (
        (torch.tensor([1.0, wrong]), torch.tensor([1.0, 0.5])),
        (torch.ones(1), torch.tensor([1.0, 0.5, wrong])),
    ):
        watched = fb.explain(fb.lfilter, b, a, x)
        assert all(check.holds for check in watched.checks)
        assert "<title>fb.lfilter</title>" in watched.html()


@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        (
            (torch.ones(2), torch.ones(2), torch.ones(5)),
            {"start": 5},
            ValueError,
            "start is 5, but the signal has 5 samples",
        ),
        ((torch.ones(2), torch.ones(2), torch.ones(0)), {}, ValueError, "at least one sample"),
        pytest.param(
            *((torch.ones(2), torch.zeros(2), torch.ones(5)), {}, ValueError, "a\\[..., 0\\]"), marks=pytest.mark.cpu
        ),  # the values of a GPU's tensors are not looked at
        ((torch.ones(2), torch.ones(2), torch.ones(5)), {"sample_rate": 0.0}, ValueError, "sample_rate is 0.0"),
    ],
)
def test_refusals(arguments, options, error, says):
    with pytest.raises(error, match=says):
        fb.explain(fb.lfilter, *arguments, **options)
