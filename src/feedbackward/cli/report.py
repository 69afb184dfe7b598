"""What a fit found, for people: a table on the screen and a page that needs nothing but itself."""

from __future__ import annotations

import base64
import io
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import feedbackward as fb

from . import audio, pictures

if TYPE_CHECKING:
    from rich.console import Console

    from .fit import Fit

_KIND_NAMES = {"lowshelf": "low shelf", "peaking": "peaking", "highshelf": "high shelf", "biquad": "biquad"}
_LISTEN_S = 10.0  # sound in the page, so that it stays a few hundred kilobytes


def print_table(result: Fit, out: Path, names: list[str], console: Console) -> None:
    """The sections, the error before and after, and where the files are."""
    from rich.table import Table

    table = Table(title="Learned sections", title_justify="left", title_style="bold")
    table.add_column("#", justify="right", style="dim")
    table.add_column("kind")
    for name in ("frequency in Hz", "q", "gain in dB"):
        table.add_column(name, justify="right")
    for number, row in enumerate(_rows(result), start=1):
        table.add_row(str(number), *row)
    console.print(table)
    console.print(f"level {_level(result)}")
    console.print(f"error relative to {result.wet.path.name}: before {result.before_db:.1f} dB, "
                  f"after [bold]{result.after_db:.1f} dB[/bold]", highlight=False)  # fmt: skip
    for note in result.notes:
        console.print("note:", note, style="yellow", highlight=False, soft_wrap=True, markup=False)
    console.print(f"results in {out}: {', '.join(names)}", highlight=False, soft_wrap=True, markup=False)


def render(result: Fit, response: Any, loss: Any) -> str:
    """One HTML page with everything inside: pictures, numbers and sound."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(resources.files(__package__).joinpath("report.html").read_text("utf-8"))
    return template.render(
        dry=result.dry,
        wet=result.wet,
        rows=_rows(result),
        level=_level(result),
        delay=result.delay,
        before=f"{result.before_db:.1f}",
        after=f"{result.after_db:.1f}",
        steps=len(result.learned.descent_db) + len(result.learned.freed_db),
        notes=result.notes,
        response=pictures.as_svg(response),
        loss=pictures.as_svg(loss),
        sounds=_sounds(result),
        sos=[[f"{value:.9g}" for value in row] for row in result.learned.sos.tolist()],
        version=fb.__version__,
    )


def _rows(result: Fit) -> list[tuple[str, str, str, str]]:
    return [
        (_KIND_NAMES[row.kind], f"{row.frequency_hz:.1f}", f"{row.q:.3f}", f"{row.gain_db:+.2f}")
        for row in result.learned.sections
    ]


def _level(result: Fit) -> str:
    level = result.learned.level_db
    turned = ", polarity turned" if result.transfer.polarity < 0 else ""
    return f"{level + 0.0:+.2f} dB{turned}"


def _sounds(result: Fit) -> list[tuple[str, str]]:
    """Names and data URLs of the same excerpt of the three signals."""
    signals = [
        ("before", audio.read(result.dry)),
        ("after, as recorded", audio.read(result.wet)),
        ("after, as learned", result.estimate),
    ]
    samples = round(_LISTEN_S * result.dry.sample_rate)
    energy = np.concatenate([[0.0], np.cumsum(np.square(signals[1][1]).sum(0))])
    begin = int(np.argmax(energy[samples:] - energy[:-samples])) if len(energy) > samples else 0
    loudest = max(float(np.abs(signal).max()) for _, signal in signals)
    return [
        (name, _data_url(signal[:, begin : begin + samples] / max(loudest, 1.0), result.dry.sample_rate))
        for name, signal in signals
    ]


def _data_url(signal: NDArray[np.float64], sample_rate: int) -> str:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, signal.T, sample_rate, format="FLAC", subtype="PCM_16")
    return "data:audio/flac;base64," + base64.b64encode(buffer.getvalue()).decode()
