"""``feedbackward explain``: a recurrent layer on a random sequence, step by step, in the terminal and as a page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

import feedbackward as fb

from . import state_dict
from .device import on_cpu
from .errors import Refused

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Request:
    """The options of the command, as `app` describes them."""

    kind: str | None
    inputs: int
    hidden: int
    layers: int
    length: int
    batch: int
    bidirectional: bool
    batch_first: bool
    projection: int
    band_width: str | None
    nonlinearity: str
    weights: Path | None
    prefix: str | None
    start: int
    steps: int
    seed: int


@on_cpu()
def explain(request: Request, out: Path | None, *, console: Console) -> None:
    """Print the explanation, and write its page.

    Args:
        request: What to watch.
        out: The page, if there is to be one.
        console: For the explanation.

    Raises:
        Refused: Options that do not fit together, weights that are no layer's, or a page that cannot be written.
    """
    if out is not None and out.is_dir():
        raise Refused(f"{out} is a folder, expected a file for the page, such as {out / 'page.html'}.")
    torch.manual_seed(request.seed)
    try:
        layer = _saved(request) if request.weights is not None else _new(request)
        dtype = next(layer.parameters()).dtype
        sizes = (request.batch, request.length) if request.batch_first else (request.length, request.batch)
        x = torch.randn(*sizes, int(layer.input_size), dtype=dtype)  # type: ignore[arg-type]
        watched = fb.explain(layer, x, start=request.start, steps=request.steps)
    except (ValueError, TypeError) as error:
        raise Refused(f"{error}.") from error
    console.print(watched)
    if out is None:
        return
    page = watched.html()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Refused(f"{out} cannot be written: {error.strerror or error}.") from error
    console.print(f"page in {out}", highlight=False, soft_wrap=True, markup=False)


def _new(request: Request) -> nn.Module:
    """A layer with fresh weights."""
    kind = request.kind or "rnn"
    settings: dict[str, Any] = {"num_layers": request.layers, "bidirectional": request.bidirectional}
    settings |= {"batch_first": request.batch_first}
    if request.band_width is not None and kind != "bandrnn":
        raise Refused(f"--band-width is given, expected none: an {kind} has no band; --layer bandrnn has one.")
    if request.projection:
        if kind != "lstm":
            raise Refused("--projection is given, expected none: only --layer lstm has a projection.")
        settings["proj_size"] = request.projection
    if kind in ("rnn", "bandrnn"):
        settings["nonlinearity"] = request.nonlinearity
    if kind == "bandrnn":
        return fb.nn.BandRNN(request.inputs, request.hidden, _band(request) or (1, 1), **settings)
    module: Any = {"rnn": fb.nn.RNN, "gru": fb.nn.GRU, "lstm": fb.nn.LSTM}[kind]
    return module(request.inputs, request.hidden, **settings)


def _saved(request: Request) -> nn.Module:
    """The layer of a state_dict."""
    assert request.weights is not None
    return state_dict.layer_of(
        state_dict.read(request.weights),
        kind=request.kind,
        prefix=request.prefix,
        band=_band(request),
        nonlinearity=request.nonlinearity,
        batch_first=request.batch_first,
    )


def _band(request: Request) -> tuple[int, int] | None:
    if request.band_width is None:
        return None
    parts = request.band_width.split(",")
    if len(parts) > 2 or not all(part.strip().isdigit() for part in parts):
        raise Refused(f"--band-width is {request.band_width}, expected a number, or LOWER,UPPER.")
    return int(parts[0]), int(parts[-1])
