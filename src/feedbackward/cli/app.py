"""The commands, their arguments and help; each imports what it needs when it runs."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import feedbackward

from .errors import Refused

app = typer.Typer(
    name="feedbackward",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_LIBRARIES = {  # what a command imports, and the extra that brings it
    "torch": "torch",
    "soundfile": "audio",
    "matplotlib": "plot",
    "jinja2": "cli",
    "latex2mathml": "explain",
}


class Scale(str, Enum):
    """Frequency scales on which the bands of a bank can be even."""

    mel = "mel"
    erb = "erb"
    bark = "bark"
    octave = "octave"
    linear = "linear"


class Kind(str, Enum):
    """Recurrent layers that can be watched."""

    rnn = "rnn"
    gru = "gru"
    lstm = "lstm"
    bandrnn = "bandrnn"


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="feedbackward")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    return 0


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"feedbackward {feedbackward.__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Learnable filters on recordings, and recurrent layers to be watched."""


@app.command()
def fit(
    dry: Annotated[Path, typer.Argument(metavar="DRY", help="The recording before.", show_default=False)],
    wet: Annotated[Path, typer.Argument(metavar="WET", help="The same recording after.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.", show_default=False)],
    sections: Annotated[int, typer.Option(min=1, max=32, help="Second-order sections to learn.")] = 6,
    steps: Annotated[int, typer.Option(min=1, help="Most steps of gradient descent.")] = 120,
    free: Annotated[
        bool, typer.Option("--free", help="In the end, let all coefficients move (for other filters).")
    ] = False,
    delay: Annotated[int, typer.Option(help="Samples that WET comes after DRY.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the search for a first guess.")] = 0,
) -> None:
    """Learn the equalizer that turns DRY into WET, by gradient descent through sosfilt.

    Both recordings need the same rate, length and number of channels; all channels go through one equalizer.
    Writes coefficients.json, the estimated recording, response.png, loss.png and report.html.
    """
    with _explained():
        from .fit import fit as command

        command(dry, wet, output, sections=sections, steps=steps, free=free, delay=delay, seed=seed, console=Console())


@app.command()
def bank(
    recording: Annotated[Path, typer.Argument(metavar="IN", help="The recording.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.", show_default=False)],
    filters: Annotated[int, typer.Option(min=1, max=4096, help="Band-pass filters.")] = 128,
    scale: Annotated[Scale, typer.Option(help="On which the bands are evenly wide.")] = Scale.mel,
    low: Annotated[float, typer.Option(min=0.0, help="Lower edge of the lowest band in Hz.")] = 50.0,
    high: Annotated[float | None, typer.Option(help="Upper edge of the highest band in Hz; Nyquist if absent.")] = None,
    hop: Annotated[float, typer.Option(min=0.1, help="Time between two columns in ms.")] = 10.0,
) -> None:
    """Look at IN through a bank of band-pass filters.

    Channels are filtered on their own; the picture shows their mean energy. Files of any length are streamed.
    Writes bank.png and bank.npz (times, frequencies, bandwidths, levels, coefficients, sample_rate).
    """
    with _explained():
        from .bank import bank as command

        command(
            recording, output, filters=filters, scale=scale.value, low=low, high=high, hop_ms=hop, console=Console()
        )


@app.command()
def explain(
    layer: Annotated[
        Kind | None, typer.Option(help="The kind of layer; rnn, or what the weights tell.", show_default=False)
    ] = None,
    inputs: Annotated[int, typer.Option("--input", min=1, help="Channels of the input.")] = 4,
    hidden: Annotated[int, typer.Option(min=1, help="Channels of the state.")] = 8,
    layers: Annotated[int, typer.Option(min=1, help="Layers on top of each other.")] = 1,
    length: Annotated[int, typer.Option(min=1, help="Steps of the sequence.")] = 10,
    batch: Annotated[int, typer.Option(min=1, help="Sequences side by side.")] = 2,
    bidirectional: Annotated[bool, typer.Option("--bidirectional", help="In both directions.")] = False,
    batch_first: Annotated[bool, typer.Option("--batch-first", help="Batch before time.")] = False,
    projection: Annotated[int, typer.Option(min=0, help="Channels that h is projected to (lstm).")] = 0,
    band_width: Annotated[
        str | None,
        typer.Option(help="Diagonals on either side of a band, or LOWER,UPPER (bandrnn; 1).", show_default=False),
    ] = None,
    nonlinearity: Annotated[str, typer.Option(help="Of an rnn: tanh, relu, identity, sigmoid, softsign.")] = "tanh",
    weights: Annotated[
        Path | None,
        typer.Option(help="A saved state_dict: kind and sizes are those of its weights.", show_default=False),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(help="Which layer of the state_dict: what stands before its names.", show_default=False),
    ] = None,
    start: Annotated[int, typer.Option(min=0, help="The first step to show.")] = 0,
    steps: Annotated[int, typer.Option(min=1, help="How many steps to show.")] = 64,
    seed: Annotated[int, typer.Option(help="Of the input, and of new weights.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page to write.", show_default=False)
    ] = None,
) -> None:
    """Watch a recurrent layer run on a random sequence, step by step: in the terminal, and on a page that plays.

    The layer is a new one, or that of a state_dict saved by torch.save; the page needs no network.
    """
    with _explained():
        from .explain import Request
        from .explain import explain as command

        request = Request(
            kind=None if layer is None else layer.value,
            inputs=inputs,
            hidden=hidden,
            layers=layers,
            length=length,
            batch=batch,
            bidirectional=bidirectional,
            batch_first=batch_first,
            projection=projection,
            band_width=band_width,
            nonlinearity=nonlinearity,
            weights=weights,
            prefix=prefix,
            start=start,
            steps=steps,
            seed=seed,
        )
        command(request, output, console=Console())


@app.command()
def info() -> None:
    """Show versions, instruction set, threads, what is installed and what each missing extra would give."""
    with _explained():
        from .info import info as command

        command(Console())


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn what a user can cause into one sentence on stderr and an exit code."""
    try:
        with _terminable():
            yield
    except Refused as refusal:
        _say(str(refusal))
        raise typer.Exit(2) from refusal
    except ModuleNotFoundError as error:
        if error.name not in _LIBRARIES:
            raise
        extra = _LIBRARIES[error.name]
        _say(f'this needs {error.name}, which is not installed: run `pip install "feedbackward[{extra}]"`.')
        raise typer.Exit(2) from error
    except (KeyboardInterrupt, _Terminated) as interruption:
        _say("interrupted; nothing was written.")
        number = signal.SIGTERM if isinstance(interruption, _Terminated) else signal.SIGINT
        raise typer.Exit(128 + number) from interruption


class _Terminated(BaseException):
    """Somebody asked the process to end: like Ctrl-C, it cleans up first."""


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    def terminate(number: int, frame: object) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(sentence: str) -> None:
    Console(stderr=True).print(f"[red]feedbackward:[/red] {_escaped(sentence)}", highlight=False, soft_wrap=True)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
