"""What the tests of the command line share: short sounds, an equalizer by scipy, and a way to run a command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import scipy.signal
from numpy.typing import NDArray

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("typer")
pytest.importorskip("matplotlib")

RATE = 8000


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


def runner(capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs `feedbackward` with its arguments, in this process."""
    from feedbackward.cli import main

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as done:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(done.value.code or 0), captured.out, captured.err)

    return run


def noise(seconds: float, channels: int = 1, seed: int = 0) -> NDArray[np.float64]:
    """White noise (T, channels) at a moderate level."""
    return 0.1 * np.random.default_rng(seed).standard_normal((round(seconds * RATE), channels))


def equalizer() -> NDArray[np.float64]:
    """A low shelf of +6 dB below 150 Hz, a cut of 9 dB at 900 Hz, a high shelf of +5 dB, by scipy's bilinear."""
    prototypes = []
    for kind, frequency, q, gain_db in TRUTH:
        a = 10 ** (gain_db / 40)
        root = a**0.5 / q
        b, c = {
            "lowshelf": ([a, a * root, a * a], [a, root, 1]),
            "peaking": ([1, a / q, 1], [1, 1 / (a * q), 1]),
            "highshelf": ([a * a, a * root, a], [1, root, a]),
        }[kind]
        warped = 2 * RATE * np.tan(np.pi * frequency / RATE)
        powers = warped ** -np.arange(2.0, -1.0, -1.0)
        prototypes.append(np.concatenate(scipy.signal.bilinear(b * powers, c * powers, RATE)))
    return np.stack(prototypes)


TRUTH = [("lowshelf", 150.0, 0.6, 6.0), ("peaking", 900.0, 2.0, -9.0), ("highshelf", 2000.0, 0.8, 5.0)]


def write_pair(
    folder: Path, seconds: float = 1.0, channels: int = 1, subtype: str = "FLOAT", suffix: str = ".wav"
) -> tuple[Path, Path]:
    """A dry and a wet recording."""
    dry = noise(seconds, channels)
    wet = scipy.signal.sosfilt(equalizer(), dry, axis=0)
    paths = folder / f"dry{suffix}", folder / f"wet{suffix}"
    for path, samples in zip(paths, (dry, wet), strict=True):
        soundfile.write(path, samples, RATE, subtype=subtype)
    return paths


def hidden_files(folder: Path) -> list[Path]:
    """What a command may have left behind while it worked."""
    return [path for path in folder.rglob("*") if path.name.startswith(".")]
