"""The main job on real recordings: learn an unknown equalizer, look at sounds through a bank.

Two recordings go through equalizers that feedbackward has no part in: analog prototypes of the audio EQ cookbook,
carried over with ``scipy.signal.bilinear`` and applied with ``scipy.signal.sosfilt`` in float64. The command line
then learns each equalizer from the recording before and after, and what it learned is held against the truth.

Run it with ``make demo``, or with ``python examples/demo.py``. Results go to ``demo/``.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from feedbackward.cli import main as feedbackward

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = ROOT / "examples" / "recordings"
OUT = ROOT / "demo"
LARGEST_ERROR_DB = -40.0
FULL_SCALE = 0.9  # peak of the filtered recordings: part of what is to be learned

Section = tuple[str, float, float, float]  # kind, frequency in Hz, q, gain in dB

EQUALIZERS: dict[str, list[Section]] = {
    "guit_em9.flac": [
        ("lowshelf", 90.0, 0.5, -9.0),
        ("peaking", 250.0, 4.0, 10.0),
        ("peaking", 320.0, 3.0, -12.0),
        ("peaking", 1500.0, 0.6, 5.0),
        ("peaking", 1800.0, 6.0, -9.0),
        ("highshelf", 4500.0, 1.1, 9.0),
    ],
    "arctic_a0007.wav": [
        ("lowshelf", 150.0, 0.7, 5.0),
        ("peaking", 400.0, 1.2, -7.0),
        ("peaking", 1000.0, 2.0, 6.0),
        ("peaking", 2200.0, 1.0, -5.0),
        ("peaking", 3800.0, 3.0, 8.0),
        ("highshelf", 5500.0, 0.8, -6.0),
    ],
}


def analog_prototype(kind: str, q: float, gain_db: float) -> tuple[list[float], list[float]]:
    """H(s) of the audio EQ cookbook with its feature at 1 rad/s: numerator and denominator, highest power first."""
    a = 10 ** (gain_db / 40)
    root = math.sqrt(a) / q
    if kind == "peaking":
        return [1, a / q, 1], [1, 1 / (a * q), 1]
    if kind == "lowshelf":
        return [a, a * root, a * a], [a, root, 1]
    return [a * a, a * root, a], [1, root, a]


def truth_sos(sections: list[Section], sample_rate: int) -> NDArray[np.float64]:
    """Second-order sections (n, 6) by scipy's bilinear transform, each warped to be exact at its frequency."""
    rows = []
    for kind, frequency, q, gain_db in sections:
        b, a = analog_prototype(kind, q, gain_db)
        warped = 2 * sample_rate * math.tan(math.pi * frequency / sample_rate)
        powers = warped ** -np.arange(2.0, -1.0, -1.0)
        rows.append(np.concatenate(scipy.signal.bilinear(b * powers, a * powers, sample_rate)))
    return np.stack(rows)


def make_wet(dry: Path, wet: Path) -> NDArray[np.float64]:
    """Filter a recording through its equalizer into a 24-bit file; returns the truth, its level included."""
    samples, sample_rate = soundfile.read(dry, dtype="float64", always_2d=True)
    sos = truth_sos(EQUALIZERS[dry.name], sample_rate)
    filtered = scipy.signal.sosfilt(sos, samples, axis=0)
    gain = FULL_SCALE / np.abs(filtered).max()
    sos[0, :3] *= gain
    soundfile.write(wet, gain * filtered, sample_rate, subtype="PCM_24")
    return sos


def run(*arguments: str | Path) -> float:
    """Run the command line as a user would; returns how long it took in seconds."""
    words = [str(argument) for argument in arguments]
    console.rule(f"feedbackward {' '.join(shown(word) for word in words)}", align="left")
    begin = time.perf_counter()
    try:
        feedbackward(words)
    except SystemExit as done:
        if done.code:
            sys.exit(done.code)
    return time.perf_counter() - begin


def shown(word: str) -> str:
    return str(Path(word).relative_to(ROOT)) if word.startswith(str(ROOT)) else word


def compare(name: str, folder: Path, sos: NDArray[np.float64], seconds: float) -> float:
    """Print what was learned beside the truth; returns the error that is left, in dB."""
    fit = json.loads((folder / "coefficients.json").read_text())
    table = Table(title=f"{name}: learned, and (truth)", title_justify="left", title_style="bold")
    for column in ("kind", "frequency in Hz", "q", "gain in dB"):
        table.add_column(column, justify="left" if column == "kind" else "right")
    for learned, (kind, frequency, q, gain_db) in zip(fit["sections"], EQUALIZERS[name], strict=True):
        table.add_row(
            learned["kind"] if learned["kind"] == kind else f"{learned['kind']} ({kind})",
            f"{learned['frequency_hz']:.2f} ({frequency:g})",
            f"{learned['q']:.4f} ({q:g})",
            f"{learned['gain_db']:+.3f} ({gain_db:+g})",
        )
    console.print(table)
    grid = np.geomspace(20, 0.499 * fit["sample_rate"], 2000)
    learned_db, truth_db = (
        20 * np.log10(np.abs(scipy.signal.sosfreqz(rows, grid, fs=fit["sample_rate"])[1]))
        for rows in (np.array(fit["sos"]), sos)
    )
    difference = np.abs(learned_db - truth_db)
    at = grid[difference.argmax()]
    console.print(
        f"response: {np.sqrt(np.square(difference).mean()):.2g} dB off (root mean square, 20 Hz to {grid[-1]:.0f} Hz), "
        f"{difference.max():.2g} dB at most, at {at:.0f} Hz\n"
        f"recording: error {fit['error_before_db']:.1f} dB before, {fit['error_after_db']:.1f} dB after; "
        f"{len(fit['descent_db'])} steps, {seconds:.1f} s\n",
        highlight=False,
    )
    return float(fit["error_after_db"])


def main() -> None:
    OUT.mkdir(exist_ok=True)
    learned = {}
    for name in EQUALIZERS:
        dry, wet = RECORDINGS / name, OUT / f"{Path(name).stem}_wet.wav"
        sos = make_wet(dry, wet)
        folder = OUT / f"fit_{dry.stem}"
        seconds = run("fit", dry, wet, "--sections", "6", "-o", folder)
        learned[name] = (folder, sos, seconds)
        run("bank", dry, "--filters", "128", "-o", OUT / f"bank_{dry.stem}")
    console.rule("what was learned, against the truth", align="left")
    errors_db = [compare(name, *result) for name, result in learned.items()]
    console.print("Results:")
    for folder in sorted(path for path in OUT.iterdir() if path.is_dir()):
        files = ", ".join(sorted(file.name for file in folder.iterdir()))
        console.print(f"  {shown(str(folder))}/: {files}", highlight=False, soft_wrap=True)
    if any(error_db > LARGEST_ERROR_DB for error_db in errors_db):
        sys.exit(f"an equalizer was learned to {max(errors_db):.1f} dB only, expected {LARGEST_ERROR_DB:g} dB")


console = Console()

if __name__ == "__main__":
    main()
