"""An explanation in a terminal, by rich: equations, weights, axes, and the first steps in numbers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .missing import explained

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from .model import Axes, Explanation, Quantity, Run, Step, Track

_ROWS, _NUMBERS, _TRACKS = 8, 4, 4  # steps of a track, numbers of a vector, tracks
_WIDTH = 104  # of a track's numbers, beside the step
_MINUS, _PLUS = "#d9822b", "#3f8fd2"  # told apart by any color vision, on dark and light


def to_text(shown: Explanation | Step, width: int = 110) -> str:
    """What a terminal shows, without its colors."""
    with explained():
        from rich.console import Console
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False, force_jupyter=False)
    console.print(shown)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in lines)


def overview(e: Explanation) -> RenderableType:
    """Everything but the page's pictures."""
    with explained():
        from rich.console import Group
    return Group(*_parts(e))


def _parts(e: Explanation) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    yield Text(e.title, style="bold")
    yield Text(e.summary, style="dim")
    for equation in e.equations:
        yield Text("")
        yield Padding(Text("\n".join(equation.text), style="italic"), (0, 2))
    if e.weights:
        yield Text("")
        yield _weights(e)
    if e.axes:
        yield Text("")
        yield _axes(e.axes)
    for part in e.details.terminal() if e.details is not None else ():
        yield Text("")
        yield part
    for track in e.run.tracks[:_TRACKS]:
        yield Text("")
        yield _track(e.run, track)
    if len(e.run.tracks) > _TRACKS:
        yield Text(f"and {len(e.run.tracks) - _TRACKS} more, in .steps and on the page", style="dim")
    yield Text("")
    for check in e.checks:
        verdict = "agrees" if check.holds else "DIFFERS"
        words = f"{verdict} to {check.difference:.2g}: {check.what}"
        yield Text(words, style="green" if check.holds else "bold red")
    for sentence in (*e.notes, *e.limits):
        yield Text(sentence, style="dim")
    yield Text('print(.steps[0]) shows every term of a step; .save("page.html") writes a page that plays', style="dim")


def _weights(e: Explanation) -> RenderableType:
    table = table_of("Weights")
    for name in ("name", "shape", "axes", "role", "from", "to"):
        table.add_column(name, justify="right" if name in ("from", "to") else "left")
    for w in e.weights:
        values, bars = (w.values.abs(), "|") if w.values.is_complex() else (w.values, "")
        ends = [f"{bars}{f(values).item():.3g}{bars}" for f in (torch.min, torch.max)] if values.numel() else ["", ""]
        table.add_row(w.name, _size(w.shape), ", ".join(w.axes), f"{w.role}, {w.place}" if w.place else w.role, *ends)
    return table


def _axes(axes: tuple[Axes, ...]) -> RenderableType:
    table = table_of("Axes")
    table.add_column("tensor")
    table.add_column("axes")
    turned = any(a.other is not None for a in axes)
    if turned:
        table.add_column("with the other batch_first")
    for a in axes:
        shown = ["  ".join(f"{name} {size}" for name, size in order) for order in (a.axes, a.other) if order]
        table.add_row(a.name, *shown)
    return table


def _track(run: Run, track: Track) -> RenderableType:
    place = "".join(f", {c.name} {c.places[0]}" for c in run.choices)
    shown = [q for q in track.quantities if q.role in ("input", "after", "output")]
    table = table_of(f"{track.name}{place}")
    table.add_column("t", justify="right", style="dim", min_width=3)
    for q in shown:
        table.add_column(q.name.removesuffix(" after"), no_wrap=True)
    most = next(n for n in range(_NUMBERS, 0, -1) if n == 1 or sum(_width(q, n) for q in shown) <= _WIDTH)
    rows = range(run.steps)[::-1] if track.reverse else range(run.steps)
    for i in rows[:_ROWS]:
        table.add_row(str(run.start + i), *(numbers(q.values[i], most) for q in shown))
    if run.steps > _ROWS:
        table.add_row("…")
    return table


def _width(q: Quantity, most: int) -> int:
    """How wide a column of so many numbers is."""
    channels = q.values.shape[-1]
    return min(channels, most) * (21 if q.values.is_complex() else 10) + (5 if channels > most else 2)


def step_table(step: Step) -> RenderableType:
    """Every term of a step, of the first element of a batch."""
    with explained():
        from rich.console import Group
        from rich.text import Text
    parts: list[RenderableType] = [Text(f"t = {step.time}", style="bold")]
    for name, values in step.tracks.items():
        table = table_of(name)
        for column in ("term", "shape", "values"):
            table.add_column(column, no_wrap=column != "term")
        for term, tensor in values.items():
            table.add_row(term, _size(tuple(tensor.shape)), numbers(tensor, 8))
        parts += [Text(""), table]
    return Group(*parts)


def numbers(values: Tensor, most: int = _NUMBERS) -> Text:
    """The first numbers of the first element, colored by their sign; a complex one by those of both parts."""
    from rich.text import Text

    flat = values.reshape(-1, values.shape[-1])[0] if values.ndim else values.reshape(1)
    line = Text()
    for v in flat[:most].tolist():
        if v != v:
            line.append("        – ")
        elif isinstance(v, complex):
            line.append(f"{v.real:>9.4g}", style=_style(v.real))
            line.append(f"{f'{v.imag:+.4g}i':<12}", style=_style(v.imag))
        else:
            line.append(f"{v:>9.4g} ", style=_style(v))
    if len(flat) > most:
        line.append(f"+{len(flat) - most}", style="dim")
    return line


def _style(v: float) -> str:
    return _MINUS if v < 0 else _PLUS if v > 0 else ""


def _size(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"


def table_of(title: str, *columns: str) -> Any:
    """An empty table."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False, show_edge=False
    )
    for column in columns:
        table.add_column(column)
    return table
