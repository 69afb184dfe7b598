"""``feedbackward fit`` end to end: what it learns, and what it writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
from cli_support import RATE, TRUTH, Run, equalizer, hidden_files, runner, soundfile, write_pair

FILES = ["coefficients.json", "estimate.wav", "loss.png", "report.html", "response.png"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A fit of three sections, its dry and its wet recording."""
    from feedbackward.cli import main

    folder = tmp_path_factory.mktemp("fit")
    dry, wet = write_pair(folder)
    with pytest.raises(SystemExit) as done:
        main(["fit", str(dry), str(wet), "--sections", "3", "-o", str(folder / "new" / "out")])
    assert not done.value.code
    return folder / "new" / "out", dry, wet


def test_learns_the_equalizer(fitted: tuple[Path, Path, Path]) -> None:
    fit = json.loads((fitted[0] / "coefficients.json").read_text())
    assert fit["sample_rate"] == RATE
    assert fit["error_before_db"] > -10
    assert fit["error_after_db"] < -100
    assert fit["descent_db"][-1] == pytest.approx(fit["error_after_db"], abs=0.1)
    assert fit["level_db"] == pytest.approx(0, abs=1e-3)
    for learned, (kind, *truth) in zip(fit["sections"], TRUTH, strict=True):
        assert learned["kind"] == kind
        assert [learned["frequency_hz"], learned["q"], learned["gain_db"]] == pytest.approx(truth, rel=1e-3)


def test_the_descent_does_not_rise(fitted: tuple[Path, Path, Path]) -> None:
    fit = json.loads((fitted[0] / "coefficients.json").read_text())
    assert np.all(np.diff(fit["descent_db"]) <= 0)


def test_the_coefficients_make_the_estimate(fitted: tuple[Path, Path, Path]) -> None:
    out, dry, wet = fitted
    sos = np.array(json.loads((out / "coefficients.json").read_text())["sos"])
    estimate, rate = soundfile.read(out / "estimate.wav")
    assert rate == RATE
    assert soundfile.info(out / "estimate.wav").subtype == soundfile.info(wet).subtype
    np.testing.assert_allclose(estimate, scipy.signal.sosfilt(sos, soundfile.read(dry)[0]), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(estimate, soundfile.read(wet)[0], atol=1e-6)


def test_writes_all_files_and_nothing_else(fitted: tuple[Path, Path, Path]) -> None:
    out, dry, _ = fitted
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert not hidden_files(dry.parent)


def test_the_report_needs_nothing_but_itself(fitted: tuple[Path, Path, Path]) -> None:
    page = (fitted[0] / "report.html").read_text()
    assert page.count("<svg") == 2
    assert page.count("data:audio/flac;base64,") == 3
    assert "dry.wav" in page
    assert "low shelf" in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)


def test_prints_a_table(run: Run, tmp_path: Path) -> None:
    dry, wet = write_pair(tmp_path)
    outcome = run("fit", dry, wet, "--sections", "3", "--steps", "3", "-o", tmp_path / "out")
    assert outcome.code == 0
    for word in (
        "low shelf",
        "peaking",
        "high shelf",
        "frequency in Hz",
        "gain in dB",
        "before",
        "after",
        "report.html",
    ):
        assert word in outcome.out


@pytest.mark.parametrize(("sections", "kinds"), [(1, ["peaking"]), (2, ["lowshelf", "highshelf"])])
def test_few_sections(run: Run, tmp_path: Path, sections: int, kinds: list[str]) -> None:
    dry, wet = write_pair(tmp_path)
    assert run("fit", dry, wet, "--sections", sections, "-o", tmp_path / "out").code == 0
    fit = json.loads((tmp_path / "out" / "coefficients.json").read_text())
    assert [row["kind"] for row in fit["sections"]] == kinds
    assert fit["error_after_db"] < fit["error_before_db"]


def test_free_sections_learn_what_an_equalizer_cannot(run: Run, tmp_path: Path) -> None:
    dry, wet = write_pair(tmp_path)
    notch = scipy.signal.tf2sos(*scipy.signal.iirnotch(1000, 4, fs=RATE))
    soundfile.write(wet, scipy.signal.sosfilt(notch, soundfile.read(dry)[0]), RATE, subtype="FLOAT")
    outcome = run("fit", dry, wet, "--sections", "1", "--free", "-o", tmp_path / "out")
    fit = json.loads((tmp_path / "out" / "coefficients.json").read_text())
    assert fit["descent_db"][-1] > -60
    assert fit["error_after_db"] < -100
    assert fit["sections"][0]["kind"] == "biquad"
    assert fit["sections"][0]["frequency_hz"] == pytest.approx(1000, rel=0.01)
    np.testing.assert_allclose(fit["sos"], notch, atol=1e-4)
    assert "biquad" in outcome.out


def test_channels_go_through_one_equalizer(run: Run, tmp_path: Path) -> None:
    dry, wet = write_pair(tmp_path, seconds=0.5, channels=2, subtype="PCM_24", suffix=".flac")
    assert run("fit", dry, wet, "--sections", "3", "-o", tmp_path / "out").code == 0
    fit = json.loads((tmp_path / "out" / "coefficients.json").read_text())
    assert fit["error_after_db"] < -90
    information = soundfile.info(tmp_path / "out" / "estimate.flac")
    assert (information.channels, information.subtype, information.format) == (2, "PCM_24", "FLAC")


def test_polarity_and_level(run: Run, tmp_path: Path) -> None:
    dry, wet = write_pair(tmp_path)
    soundfile.write(wet, -0.25 * soundfile.read(wet)[0], RATE, subtype="FLOAT")
    outcome = run("fit", dry, wet, "--sections", "3", "-o", tmp_path / "out")
    fit = json.loads((tmp_path / "out" / "coefficients.json").read_text())
    assert fit["polarity"] == -1
    assert fit["level_db"] == pytest.approx(-12.04, abs=0.01)
    assert fit["error_after_db"] < -100
    assert "upside down" in outcome.out


def test_delay(run: Run, tmp_path: Path) -> None:
    dry, wet = write_pair(tmp_path)
    late = np.concatenate([np.zeros(37), soundfile.read(wet)[0][:-37]])
    soundfile.write(wet, late, RATE, subtype="FLOAT")
    outcome = run("fit", dry, wet, "--sections", "2", "--steps", "2", "-o", tmp_path / "out")
    assert "--delay 37" in " ".join(outcome.out.split())
    outcome = run("fit", dry, wet, "--sections", "3", "--delay", "37", "-o", tmp_path / "out")
    fit = json.loads((tmp_path / "out" / "coefficients.json").read_text())
    assert fit["delay_samples"] == 37
    assert fit["error_after_db"] < -100
    assert "--delay" not in outcome.out


def test_unrelated_recordings_are_noticed(run: Run, tmp_path: Path) -> None:
    dry, wet = write_pair(tmp_path)
    soundfile.write(wet, np.random.default_rng(5).standard_normal(RATE) / 10, RATE, subtype="FLOAT")
    outcome = run("fit", dry, wet, "--sections", "2", "--steps", "2", "-o", tmp_path / "out")
    assert outcome.code == 0
    assert "are they the same sound" in " ".join(outcome.out.split())


def test_clipping_is_said(run: Run, tmp_path: Path) -> None:
    dry, wet = write_pair(tmp_path)
    samples = np.clip(soundfile.read(wet)[0] * 8, -1, 1)
    soundfile.write(wet, samples, RATE, subtype="PCM_16")
    outcome = run("fit", dry, wet, "--sections", "2", "--steps", "2", "-o", tmp_path / "out")
    assert "were clipped" in " ".join(outcome.out.split())


def test_same_numbers_on_every_run(run: Run, tmp_path: Path) -> None:
    dry, wet = write_pair(tmp_path, seconds=0.3)
    for name in ("one", "two"):
        run("fit", dry, wet, "--sections", "3", "--steps", "4", "-o", tmp_path / name)
    first, second = ((tmp_path / name / "coefficients.json").read_text() for name in ("one", "two"))
    assert first == second


def test_replaces_its_own_files_and_leaves_others(run: Run, tmp_path: Path) -> None:
    dry, wet = write_pair(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    (out / "coefficients.json").write_text("old")
    assert run("fit", dry, wet, "--sections", "1", "--steps", "1", "-o", out).code == 0
    assert (out / "notes.txt").read_text() == "mine"
    assert json.loads((out / "coefficients.json").read_text())
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, "notes.txt"])


def test_scipy_and_the_learned_filter_agree_on_the_response(fitted: tuple[Path, Path, Path]) -> None:
    sos = np.array(json.loads((fitted[0] / "coefficients.json").read_text())["sos"])
    frequencies = np.geomspace(30, 3900, 200)
    responses = [scipy.signal.sosfreqz(rows, frequencies, fs=RATE)[1] for rows in (sos, equalizer())]
    np.testing.assert_allclose(responses[0], responses[1], rtol=1e-4)
