"""The picture: what is drawn, with which labels, and what is said without matplotlib."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from closeness import assert_allclose
from scipy import signal

from feedbackward import design

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
pyplot = pytest.importorskip("matplotlib.pyplot")

SOS = torch.as_tensor(signal.butter(4, 0.3, output="sos"))


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    yield
    pyplot.close("all")


def test_draws_what_scipy_computes() -> None:
    figure = design.plot_response(SOS, fs=8000)
    magnitude, phase, delay = figure.axes
    w, level = magnitude.lines[0].get_data()
    sos = SOS.numpy(force=True)
    h = signal.sosfreqz(sos, w, fs=8000)[1]
    assert_allclose(level, np.maximum(20 * np.log10(np.maximum(np.abs(h), 1e-15)), -300), atol=1e-6)
    inside = w < 3900
    assert_allclose(phase.lines[0].get_ydata()[inside], np.degrees(np.unwrap(np.angle(h)))[inside], atol=1e-6)
    expected = signal.group_delay(signal.sos2tf(sos), w[inside], fs=8000)[1] / 8
    assert_allclose(delay.lines[0].get_ydata()[inside], expected, rtol=1e-3)
    assert [axis.get_ylabel() for axis in figure.axes] == ["Magnitude (dB)", "Phase (degrees)", "Group delay (ms)"]
    assert delay.get_xlabel() == "Frequency (Hz)"


def test_units_without_a_sample_rate() -> None:
    figure = design.plot_response(([1.0, 1.0], [2.0]), panels=("delay",), scale="linear")
    assert figure.axes[0].get_ylabel() == "Group delay (samples)"
    assert figure.axes[0].get_xlabel() == "Frequency (fraction of the sample rate)"
    assert_allclose(figure.axes[0].lines[0].get_ydata()[:-1], 0.5, atol=1e-5)


def test_many_systems_and_banks_and_given_axes() -> None:
    figure = design.plot_response(SOS, (np.array([1.0]), np.array([1.0, -0.5])), labels=["a", "b"], fs=8000)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["a", "b"]
    assert figure.axes[0].lines[0].get_color() != figure.axes[0].lines[1].get_color()
    bank = design.bandpass(design.space(100, 3900, 20), 5.0, sample_rate=8000)[:, None]
    other, axes = pyplot.subplots(2)
    assert design.plot_response(bank, fs=8000, panels=("magnitude", "phase"), axes=axes) is other
    assert len(axes[0].lines) == len(axes[1].lines) == 20


def test_missing_matplotlib_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError) as raised:
        design.plot_response(SOS)
    assert str(raised.value) == (
        "plot_response needs matplotlib, which is not installed: `pip install feedbackward[plot]`"
    )


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: design.plot_response(),
            "plot_response: no system given, expected (b, a), sections (..., sections, 6) or a module",
        ),
        (
            lambda: design.plot_response(SOS, panels=("loudness",)),
            "plot_response: panels is ('loudness',), expected some of 'magnitude', 'phase', 'delay'",
        ),
        (
            lambda: design.plot_response(SOS, labels=["a", "b"]),
            "plot_response: labels has 2 entries, expected 1, one per system",
        ),
        (
            lambda: design.plot_response(SOS, axes=[]),
            "plot_response: axes has 0 entries, expected 3, one per panel",
        ),
    ],
)
def test_errors(call, sentence: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()
    assert str(raised.value) == sentence
