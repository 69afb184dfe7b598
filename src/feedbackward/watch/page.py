"""An explanation as one HTML page that needs nothing but itself: no network, no font, no library.

The numbers travel as little-endian floats in base64, exactly as they are; the scripts in ``templates/`` draw them.
"""

from __future__ import annotations

import base64
import functools
import html
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

import feedbackward as fb

from .heat import heat_maps
from .missing import explained

if TYPE_CHECKING:
    from .model import Explanation, Quantity, Track

_NUMBERS = 250_000  # of all steps on a page: 1.4 MB
_TRACKS = 12
_FRAME = "width: 100%; height: 52rem; max-height: 90vh; border: 1px solid #8886; border-radius: 6px"


def render(e: Explanation) -> str:
    """The page."""
    with explained():
        import jinja2
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("feedbackward.watch", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"mathml": mathml, "inline": functools.partial(mathml, display="inline"), "size": size}
    environment.filters["groupby_in_order"] = _groups
    environment.globals["size_of"] = lambda q: size(q.shape or (q.values.shape[-1],))
    tracks = e.run.tracks[:_TRACKS]
    steps, channels, limits = _fitted(e, tracks)
    maps, notes = heat_maps(e.weights)
    data = {"run": _run_data(e, tracks, steps, channels), "maps": [m.data for m in maps]}
    return environment.get_template("page.html").render(
        e=e,
        tracks=tracks,
        maps=maps,
        has_complex=any(q.values.is_complex() for t in tracks for q in t.quantities),
        bank=e.details if e.kind == "filter" else None,
        decays=e.details if e.kind == "recurrence" else None,
        listing=e.details if e.kind == "cell" else None,
        shown_channels=min(channels, max(q.values.shape[-1] for t in tracks for q in t.quantities)),
        limits=(*e.limits, *limits, *notes),
        data=data if e.details is None else {**data, **e.details.page_data()},
        version=fb.__version__,
    )


def frame(e: Explanation) -> str:
    """The page inside a notebook: a frame, so that its styles and those of the notebook stay apart."""
    title = html.escape(e.title, quote=True)
    return f'<iframe title="{title}" style="{_FRAME}" srcdoc="{html.escape(render(e), quote=True)}"></iframe>'


@functools.lru_cache(maxsize=4096)
def mathml(latex: str, display: str = "block") -> Any:
    """LaTeX as MathML, which browsers show on their own."""
    with explained():
        import markupsafe
        from latex2mathml.converter import convert
    return markupsafe.Markup(convert(latex, display=display))


def size(shape: tuple[int, ...]) -> str:
    """A shape as people write it."""
    return " × ".join(map(str, shape)) or "one number"


def _groups(quantities: Sequence[Quantity]) -> list[tuple[str, list[tuple[int, Quantity]]]]:
    """Neighbors of the same group, each with its place."""
    groups = itertools.groupby(enumerate(quantities), lambda item: item[1].group)
    return [(group, list(items)) for group, items in groups]


def pack(values: Tensor) -> dict[str, str]:
    """Numbers as base64: in single precision, but where only double precision can say what they are.

    Of complex numbers the two parts stand side by side.
    """
    values = values.detach().cpu().resolve_conj().resolve_neg()
    array = (torch.view_as_real(values) if values.is_complex() else values).numpy()
    with np.errstate(over="ignore", under="ignore"):
        narrow = array.astype("<f4")
    same = np.array_equal(np.isfinite(narrow), np.isfinite(array)) and np.array_equal(narrow == 0, array == 0)
    kind = "f4" if same else "f8"
    return {"t": kind, "s": base64.b64encode(np.ascontiguousarray(array, f"<{kind}").tobytes()).decode()}


def _fitted(e: Explanation, tracks: tuple[Track, ...]) -> tuple[int, int, tuple[str, ...]]:
    """How many steps and channels the page can hold, and what it says about that."""
    run, limits = e.run, list[str]()
    steps, channels = run.steps, e.channels
    quantities = [q for t in tracks for q in t.quantities]
    lanes = quantities[0].values.shape[1:-1].numel()
    widest = max(q.values.shape[-1] for q in quantities)

    def count() -> int:
        return steps * lanes * sum(min(channels, q.values.shape[-1]) * (1 + q.values.is_complex()) for q in quantities)

    while count() > _NUMBERS and channels > 16:
        channels = min(channels, widest) // 2
    while count() > _NUMBERS and steps > 4:
        steps //= 2
    if channels < widest:
        why = "; channels= shows more" if channels == e.channels else ", to keep the page small"
        limits.append(f"Of every vector the first {channels} channels are shown{why}.")
    if steps < run.steps:
        limits.append(f"The page plays the first {steps} of these {run.steps} steps, to stay small.")
    if len(tracks) < len(run.tracks):
        limits.append(f"{len(tracks)} of {len(run.tracks)} layers and directions are shown.")
    return steps, channels, tuple(limits)


def _run_data(e: Explanation, tracks: tuple[Track, ...], steps: int, channels: int) -> dict[str, Any]:
    run = e.run
    names = [t.name for t in tracks]
    overview = [
        {
            "track": names.index(track),
            "quantity": _place(run.track(track), quantity),
            "label": _label(e, track, quantity),
        }
        for track, quantity in run.overview
        if track in names
    ]
    return {
        "start": run.start,
        "steps": steps,
        "total": run.total,
        "clock": "n" if e.kind == "filter" else "t",
        "sameChannels": e.kind == "recurrence",
        "choices": [{"name": c.name, "places": c.places, "total": c.total} for c in run.choices],
        "tracks": [
            {
                "name": t.name,
                "reverse": t.reverse,
                "lengths": t.lengths,
                "quantities": [_quantity_data(q, steps, channels) for q in t.quantities],
            }
            for t in tracks
        ],
        "overview": overview,
    }


def _place(track: Track, name: str) -> int:
    return [q.name for q in track.quantities].index(name)


def _label(e: Explanation, track: str, quantity: str) -> str:
    """What a row of the overview is called."""
    if e.kind == "cell":
        return quantity
    if e.kind == "recurrence":
        return {"x": "input x", "h after": "state h"}.get(quantity, quantity)
    if quantity == "x":
        return "input x"
    name = quantity.removesuffix(" after")
    return f"output {name}" if track == "filter" else f"{track}: {name}"


def _quantity_data(q: Quantity, steps: int, channels: int) -> dict[str, Any]:
    values = q.values[:steps]
    shown = values[..., :channels].reshape(steps, -1, min(channels, values.shape[-1]))
    finite = torch.where(shown.isfinite(), shown.abs(), 0.0)
    return {
        "name": q.name,
        "role": q.role,
        "channels": values.shape[-1],
        "shown": shown.shape[-1],
        "complex": shown.is_complex(),
        "scale": float(finite.max()) if finite.numel() else 0.0,
        "labels": q.labels[:channels],
        "values": pack(shown),
    }
