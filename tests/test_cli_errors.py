"""What the command line refuses: one sentence on stderr, exit code 2, nothing half-written."""

from __future__ import annotations

import builtins
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_support import RATE, Run, hidden_files, noise, runner, soundfile, write_pair


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def refused(run: Run, folder: Path, *arguments: object, says: str) -> None:
    """The command refuses in one sentence that holds `says`, and leaves the folder as it was."""
    before = sorted(folder.rglob("*"))
    outcome = run(*arguments)
    assert outcome.code == 2
    assert outcome.err.startswith("feedbackward: ")
    assert says in outcome.err
    assert outcome.err.strip().count("\n") == 0
    assert "Traceback" not in outcome.err
    assert sorted(folder.rglob("*")) == before


def damage(kind: str) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        samples = soundfile.read(path)[0]
        if kind == "missing":
            path.unlink()
        elif kind == "folder":
            path.unlink()
            path.mkdir()
        elif kind == "text":
            path.write_text("not a sound")
        elif kind == "nothing":
            path.write_bytes(b"")
        elif kind == "no samples":
            soundfile.write(path, samples[:0], RATE)
        elif kind == "silence":
            soundfile.write(path, 0 * samples, RATE)
        elif kind == "nan":
            samples[1234] = np.nan
            soundfile.write(path, samples, RATE, subtype="FLOAT")
        elif kind == "infinity":
            samples[0] = np.inf
            soundfile.write(path, samples, RATE, subtype="FLOAT")

    return apply


DAMAGES = [
    ("missing", "does not exist"),
    ("folder", "is a folder, expected an audio file"),
    ("text", "cannot be read as audio"),
    ("nothing", "cannot be read as audio"),
    ("no samples", "holds no samples"),
    ("silence", "is silent"),
    ("nan", "holds NaN or infinity at sample 1234 (0.154 s)"),
    ("infinity", "holds NaN or infinity at sample 0 (0.000 s)"),
]


@pytest.mark.parametrize(("kind", "says"), DAMAGES)
@pytest.mark.parametrize("which", [0, 1])
def test_fit_refuses_a_bad_recording(run: Run, tmp_path: Path, kind: str, says: str, which: int) -> None:
    pair = write_pair(tmp_path)
    damage(kind)(pair[which])
    if kind == "no samples":  # so that it is this that is said, and not that the lengths differ
        damage(kind)(pair[1 - which])
    refused(run, tmp_path, "fit", *pair, "-o", tmp_path / "deep" / "out", says=says)


@pytest.mark.parametrize(("kind", "says"), DAMAGES)
def test_bank_refuses_a_bad_recording(run: Run, tmp_path: Path, kind: str, says: str) -> None:
    recording = write_pair(tmp_path)[0]
    damage(kind)(recording)
    refused(run, tmp_path, "bank", recording, "--filters", "4", "-o", tmp_path / "out", says=says)


@pytest.mark.parametrize(
    ("samples", "rate", "says"),
    [
        (noise(1.0), 2 * RATE, "has 8000 samples per second and"),
        (noise(0.9), RATE, "has 8000 samples and"),
        (noise(1.0, channels=2), RATE, "has 1 channel(s) and"),
    ],
    ids=["rate", "length", "channels"],
)
def test_fit_refuses_recordings_that_do_not_match(run: Run, tmp_path: Path, samples: Any, rate: int, says: str) -> None:
    dry, wet = write_pair(tmp_path)
    soundfile.write(wet, samples, rate)
    refused(run, tmp_path, "fit", dry, wet, "-o", tmp_path / "out", says=says)


def test_fit_refuses_what_is_too_short(run: Run, tmp_path: Path) -> None:
    dry, wet = write_pair(tmp_path, seconds=0.05)
    refused(run, tmp_path, "fit", dry, wet, "-o", tmp_path / "out", says="lasts 0.050 s, expected at least 0.1 s")


def test_fit_refuses_a_delay_longer_than_the_recordings(run: Run, tmp_path: Path) -> None:
    dry, wet = write_pair(tmp_path)
    refused(run, tmp_path, "fit", dry, wet, "--delay", "8000", "-o", tmp_path / "out", says="--delay is 8000")


@pytest.mark.parametrize("command", ["fit", "bank"])
def test_an_output_that_is_a_file(run: Run, tmp_path: Path, command: str) -> None:
    pair = write_pair(tmp_path)
    (tmp_path / "out").write_text("mine")
    inputs = pair if command == "fit" else pair[:1]
    refused(run, tmp_path, command, *inputs, "-o", tmp_path / "out", says="is a file, expected a folder")
    refused(run, tmp_path, command, *inputs, "-o", tmp_path / "out" / "deeper", says="cannot be made")
    assert (tmp_path / "out").read_text() == "mine"


def test_an_output_that_would_replace_an_input(run: Run, tmp_path: Path) -> None:
    dry, wet = write_pair(tmp_path)
    estimate = wet.rename(tmp_path / "estimate.wav")
    refused(run, tmp_path, "fit", dry, estimate, "-o", tmp_path, says="would be overwritten")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to this user")
def test_what_the_system_forbids(run: Run, tmp_path: Path) -> None:
    dry, wet = write_pair(tmp_path)
    (tmp_path / "locked").mkdir(mode=0o555)
    refused(run, tmp_path, "fit", dry, wet, "-o", tmp_path / "locked" / "out", says="cannot be written: Permission")
    wet.chmod(0o000)
    refused(run, tmp_path, "fit", dry, wet, "-o", tmp_path / "out", says="cannot be read as audio: Permission")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--low", "5000"], "expected low < high <= 4000 Hz"),
        (["--high", "4001"], "expected low < high <= 4000 Hz"),
        (["--low", "0", "--scale", "octave"], "positive frequency on the octave scale"),
    ],
)
def test_bank_refuses_a_range_outside_of_the_recording(run: Run, tmp_path: Path, options: list[str], says: str) -> None:
    recording = write_pair(tmp_path)[0]
    refused(run, tmp_path, "bank", recording, *options, "-o", tmp_path / "out", says=says)


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit"],
        ["fit", "a", "b"],
        ["bank", "a", "-o", "b", "--filters", "0"],
        ["fit", "a", "b", "-o", "c", "--steps", "0"],
        ["x"],
    ],
)
def test_bad_usage(run: Run, arguments: list[str]) -> None:
    outcome = run(*arguments)
    assert outcome.code == 2
    assert "Usage:" in outcome.err
    assert "Traceback" not in outcome.err


def test_a_missing_library_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = write_pair(tmp_path)[0]
    real = builtins.__import__

    def without_soundfile(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "soundfile":
            raise ModuleNotFoundError("No module named 'soundfile'", name="soundfile")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_soundfile)
    refused(run, tmp_path, "bank", recording, "-o", tmp_path / "out", says='pip install "feedbackward[audio]"')


def test_the_command_line_itself_missing(tmp_path: Path) -> None:
    code = "import sys; sys.modules['typer'] = None; from feedbackward.cli import main; main(['info'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert 'run `pip install "feedbackward[cli]"`' in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_failure_in_the_middle_leaves_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from feedbackward.cli import fit

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    dry, wet = write_pair(tmp_path)
    monkeypatch.setattr(fit.pictures, "save_png", full)
    arguments = ("fit", dry, wet, "--sections", "1", "--steps", "1", "-o", tmp_path / "out")
    refused(run, tmp_path, *arguments, says="cannot be written: No space left on device")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    dry, wet = write_pair(tmp_path, seconds=20.0)
    code = "import sys; from feedbackward.cli import main; main(sys.argv[1:])"
    arguments = ["fit", str(dry), str(wet), "--sections", "16", "-o", str(tmp_path / "out")]
    # A runner in the background ignores the interrupt, and what it starts inherits that.
    inherited = signal.signal(number, signal.default_int_handler)
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True)
    signal.signal(number, inherited)
    deadline = time.monotonic() + 60
    while not hidden_files(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert hidden_files(tmp_path), "it did not begin"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    assert "nothing was written" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dry.wav", "wet.wav"]
