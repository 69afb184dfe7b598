"""``feedbackward fit``: the equalizer between two recordings, learned and written down."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

import feedbackward as fb

from . import audio, pictures, report
from .console import progress
from .device import on_cpu
from .errors import Refused
from .fitting.equalizer import Equalizer
from .fitting.learn import Learned, learn
from .fitting.transfer import Transfer, measure_transfer
from .folder import staged

if TYPE_CHECKING:
    from rich.console import Console

SHORTEST_S = 0.1
_UNRELATED = 0.5  # mean coherence below which a linear filter explains little


class Fit(NamedTuple):
    """Everything that the results tell."""

    dry: audio.Recording
    wet: audio.Recording
    learned: Learned
    transfer: Transfer
    estimate: NDArray[np.float64]  # (channels, T)
    before_db: float
    after_db: float
    delay: int
    notes: list[str]


@on_cpu()
def fit(
    dry_path: Path,
    wet_path: Path,
    out: Path,
    *,
    sections: int,
    steps: int,
    free: bool,
    delay: int,
    seed: int,
    console: Console,
) -> Fit:
    """Learn the equalizer that turns one recording into the other and write the results into a folder.

    Args:
        dry_path: the recording before.
        wet_path: the recording after, of the same rate, length and number of channels.
        out: folder for ``coefficients.json``, ``estimate`` (in the format of the wet recording), ``response.png``,
            ``loss.png`` and ``report.html``.
        sections: number of second-order sections, at least 1.
        steps: largest number of steps of gradient descent.
        free: in the end let all coefficients of all sections move, for filters that are no equalizer.
        delay: samples that the wet recording comes after the dry one.
        seed: of the search for first guesses.
        console: for the progress bar and the table.

    Raises:
        Refused: an input that cannot be used, or an output folder that cannot be written.
    """
    dry, wet = audio.inspect(dry_path), audio.inspect(wet_path)
    audio.check_pair(dry, wet)
    audio.check_writable(wet)
    if dry.seconds < SHORTEST_S:
        raise Refused(f"{dry.path} lasts {dry.seconds:.3f} s, expected at least {SHORTEST_S} s to learn from.")
    if abs(delay) >= dry.samples:
        raise Refused(f"--delay is {delay}, expected less than the {dry.samples} samples of the recordings.")
    estimate_name = f"estimate{wet.path.suffix}"
    names = ["coefficients.json", estimate_name, "response.png", "loss.png", "report.html"]
    with staged(out, names, [dry.path, wet.path]) as stage:
        result = _learn(dry, wet, sections, steps, free, delay, seed, console)
        clipped = audio.write(stage / estimate_name, result.estimate, wet)
        if clipped:
            result.notes.append(f"{clipped} samples of the estimate are beyond full scale and were clipped.")
        (stage / "coefficients.json").write_text(json.dumps(as_json(result), indent=2) + "\n")
        response, loss = _figures(result)
        pictures.save_png(response, stage / "response.png")
        pictures.save_png(loss, stage / "loss.png")
        (stage / "report.html").write_text(report.render(result, response, loss), encoding="utf-8")
    report.print_table(result, out, names, console)
    return result


def as_json(result: Fit) -> dict[str, Any]:
    """The content of ``coefficients.json``: enough to filter with, and to know where it came from."""
    return {
        "feedbackward": fb.__version__,
        "dry": result.dry.path.name,
        "wet": result.wet.path.name,
        "sample_rate": result.dry.sample_rate,
        "delay_samples": result.delay,
        "polarity": result.transfer.polarity,
        "level_db": result.learned.level_db,
        "sections": [section._asdict() for section in result.learned.sections],
        "sos": result.learned.sos.tolist(),
        "error_before_db": result.before_db,
        "error_after_db": result.after_db,
        "search_db": result.learned.search_db,
        "descent_db": result.learned.descent_db,
        "freed_db": result.learned.freed_db,
    }


def _learn(
    dry: audio.Recording,
    wet: audio.Recording,
    sections: int,
    steps: int,
    free: bool,
    delay: int,
    seed: int,
    console: Console,
) -> Fit:
    x, y = _shift(audio.read(dry), delay), audio.read(wet)
    transfer = measure_transfer(x, y, dry.sample_rate)
    equalizer = Equalizer(sections, dry.sample_rate, transfer.polarity)
    with progress(console) as bar:
        task = bar.add_task("searching for a first guess", total=1.0, detail="")
        names = {
            "search": "searching for a first guess",
            "descend": "gradient descent through sosfilt",
            "free": "the same, all coefficients free",
        }

        def tell(phase: str, part: float, value: float) -> None:
            detail = f"{value:.2f} dB off" if phase == "search" else f"error {value:.1f} dB"
            bar.update(task, description=names[phase], completed=part, detail=detail)

        learned = learn(x, y, transfer, equalizer, steps, free, seed, tell)
        bar.update(task, completed=1.0)
    estimate: NDArray[np.float64] = fb.sosfilt(learned.sos, torch.from_numpy(x)).numpy()
    before_db, after_db = error_db(x, y), error_db(estimate, y)
    return Fit(dry, wet, learned, transfer, estimate, before_db, after_db, delay, _notes(transfer, delay, free))


def error_db(estimate: NDArray[np.float64], wet: NDArray[np.float64]) -> float:
    """Energy of the difference over the energy of wet, in dB."""
    ratio = float(np.square(estimate - wet).sum() / np.square(wet).sum())
    return 10 * math.log10(max(ratio, 1e-40))


def _shift(x: NDArray[np.float64], delay: int) -> NDArray[np.float64]:
    """x later by `delay` samples, of the same length, with silence moving in."""
    if delay == 0:
        return x
    moved = np.zeros_like(x)
    if delay > 0:
        moved[:, delay:] = x[:, :-delay]
    else:
        moved[:, :delay] = x[:, -delay:]
    return moved


def _notes(transfer: Transfer, delay: int, free: bool) -> list[str]:
    notes = []
    if transfer.coherence < _UNRELATED:
        notes.append(
            f"A linear filter of DRY explains only {transfer.coherence:.0%} of WET: "
            "are they the same sound before and after?"
        )
    elif transfer.delay != 0:
        notes.append(
            f"WET seems to come {transfer.delay + delay} samples after DRY, where {delay} was assumed: "
            f"try --delay {transfer.delay + delay}."
        )
    if transfer.polarity < 0:
        notes.append("WET is upside down: the coefficients turn the polarity.")
    if free:
        notes.append("Biquads are listed by the frequency and q of their poles, and their gain there.")
    return notes


def _figures(result: Fit) -> tuple[Any, Any]:
    transfer, learned = result.transfer, result.learned
    fine = torch.from_numpy(
        np.geomspace(transfer.frequencies[0], transfer.frequencies[-1], 4 * len(transfer.frequencies))
    )
    each_db = _sections_db(result, fine)
    level_db = learned.level_db
    response = pictures.response_figure(
        pictures.Curve(fine.numpy(), (each_db.sum(0) + level_db).numpy()),
        pictures.Curve(transfer.frequencies.numpy(), transfer.level_db.numpy()),
        (_sections_db(result, transfer.frequencies).sum(0) + level_db - transfer.level_db).numpy(),
        each_db.numpy(),
    )
    return response, pictures.loss_figure(result.before_db, learned.search_db, learned.descent_db, learned.freed_db)


def _sections_db(result: Fit, frequencies: torch.Tensor) -> torch.Tensor:
    """Responses (sections, F) without the level, which is in the first section's numerator."""
    each = fb.design.sosfreqz(result.learned.sos[:, None], frequencies, fs=result.dry.sample_rate)[1]
    each_db = 20 * torch.log10(each.abs().clamp(min=1e-12))
    each_db[0] -= result.learned.level_db
    return each_db
