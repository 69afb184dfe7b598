"""``feedbackward bank`` end to end: levels, streaming, what it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import torch
from cli_support import RATE, Run, hidden_files, noise, runner, soundfile

import feedbackward as fb


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def analyze(run: Run, samples: np.ndarray, folder: Path, *options: object) -> dict[str, np.ndarray]:
    path = folder / "in.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    assert run("bank", path, "-o", folder / "out", *options).code == 0
    with np.load(folder / "out" / "bank.npz") as data:
        return dict(data)


def test_writes_a_picture_and_the_data(run: Run, tmp_path: Path) -> None:
    data = analyze(run, noise(1.003), tmp_path, "--filters", 12)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["bank.npz", "bank.png"]
    assert (tmp_path / "out" / "bank.png").read_bytes().startswith(b"\x89PNG")
    assert not hidden_files(tmp_path)
    frames = 101
    assert data["levels"].shape == (1, 12, frames)
    assert data["times"].shape == (frames,)
    assert data["frequencies"].shape == data["bandwidths"].shape == (12,)
    assert data["coefficients"].shape == (12, 1, 6)
    assert data["sample_rate"] == RATE
    assert data["times"][0] == pytest.approx(0.005)
    assert data["times"][-1] == pytest.approx(1.0015)
    assert (np.diff(data["frequencies"]) > 0).all()


@pytest.mark.parametrize("band", [3, 20, 37])
def test_a_sine_at_full_scale_in_the_middle_of_a_band_is_at_minus_3_db(run: Run, tmp_path: Path, band: int) -> None:
    frequency = fb.nn.FilterBank(40, RATE).frequency[band].item()
    tone = np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE)
    data = analyze(run, tone, tmp_path, "--filters", 40)
    settled = data["levels"][0, :, 50:90].mean(-1)
    assert settled.argmax() == band
    assert settled[band] == pytest.approx(10 * np.log10(0.5), abs=0.1)


def test_levels_are_the_smoothed_energies_of_the_filters_outputs(run: Run, tmp_path: Path) -> None:
    samples = noise(0.5, channels=2)
    data = analyze(run, samples, tmp_path, "--filters", 5, "--hop", 4)
    hop = 32
    decay = np.exp(-np.pi * data["bandwidths"] * hop / RATE)
    decay[decay < 0.05] = 0
    for channel in range(2):
        for band in range(5):
            y = scipy.signal.sosfilt(data["coefficients"][band], samples[:, channel].astype(np.float32))
            power = np.square(y).reshape(-1, hop).mean(-1)
            energy = scipy.signal.lfilter([1 - decay[band]], [1, -decay[band]], power)
            np.testing.assert_allclose(data["levels"][channel, band], 10 * np.log10(energy), atol=2e-3)


@pytest.mark.parametrize("block", [80, 240, 4000])
def test_streamed_equals_whole(tmp_path: Path, block: int) -> None:
    from rich.console import Console

    from feedbackward.cli.bank import bank

    path = tmp_path / "in.wav"
    soundfile.write(path, noise(1.0011, channels=2), RATE, subtype="FLOAT")
    levels = []
    for name, size in (("whole", 1 << 20), ("blocks", block)):
        options = {"filters": 9, "scale": "erb", "low": 30.0, "high": None, "hop_ms": 10.0}
        bank(path, tmp_path / name, **options, console=Console(quiet=True), block=size)
        with np.load(tmp_path / name / "bank.npz") as data:
            levels.append(data["levels"])
    np.testing.assert_allclose(levels[0], levels[1], atol=1e-4)


def test_memory_does_not_grow_with_the_length(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    real = fb.nn.FilterBank.forward

    def observed(self: torch.nn.Module, x: torch.Tensor, *state: torch.Tensor) -> object:
        held.append(x.numel() * 16)
        return real(self, x, *state)

    monkeypatch.setattr(fb.nn.FilterBank, "forward", observed)
    monkeypatch.setattr("feedbackward.cli.bank._VALUES", 1 << 16)
    data = analyze(run, noise(30.0), tmp_path, "--filters", 16)
    assert data["levels"].shape[-1] == 3000
    assert max(held) <= 1 << 16
    assert len(held) > 50


@pytest.mark.parametrize("scale", ["mel", "erb", "bark", "octave", "linear"])
def test_scales(run: Run, tmp_path: Path, scale: str) -> None:
    data = analyze(run, noise(0.1), tmp_path, "--filters", 6, "--scale", scale, "--low", 100, "--high", 3200)
    expected = fb.design.space(100.0, 3200.0, 6, scale)
    np.testing.assert_allclose(data["frequencies"], expected.numpy(force=True), rtol=1e-4)


def test_a_narrow_range_still_has_an_axis_to_read() -> None:
    from feedbackward.cli.pictures import bank_figure

    figure = bank_figure(np.zeros((4, 3)), 1.0, np.linspace(300.0, 450.0, 5), "narrow")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) >= 3
    assert labels[0] == "300"


def test_one_filter_one_sample(run: Run, tmp_path: Path) -> None:
    data = analyze(run, np.array([0.5]), tmp_path, "--filters", 1)
    assert data["levels"].shape == (1, 1, 1)
    assert np.isfinite(data["levels"]).all()


def test_a_recording_that_falls_silent_has_a_floor(run: Run, tmp_path: Path) -> None:
    samples = np.zeros(RATE)
    samples[:100] = 0.5
    data = analyze(run, samples, tmp_path, "--filters", 4, "--low", 500)
    assert np.isfinite(data["levels"]).all()
    assert data["levels"].min() >= -200
