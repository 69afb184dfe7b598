"""``feedbackward info``: what runs here, and what a missing extra would give."""

from __future__ import annotations

import importlib
import os
import platform
from importlib import metadata
from typing import TYPE_CHECKING

import feedbackward as fb

if TYPE_CHECKING:
    from rich.console import Console

_EXTRAS = {  # extra: the distributions that make it up, and what it gives
    "torch": (("torch",), "filters, recurrences and modules on tensors"),
    "audio": (("soundfile",), "recordings in and out: WAV, FLAC, Ogg, MP3"),
    "plot": (("matplotlib",), "plots of responses, losses and time-frequency energy"),
    "explain": (("rich", "jinja2", "latex2mathml"), "fb.explain in a terminal, a notebook and as a page"),
    "cli": (("typer", "rich", "jinja2"), "this command and its HTML report"),
    "bench": (("scipy", "numba", "jax"), "timings against other implementations"),
    "docs": (("sphinx", "myst-nb", "furo"), "building the documentation"),
    "dev": (("pytest", "hypothesis", "scipy", "playwright", "ruff", "mypy"), "tests and checks of this library"),
}


def info(console: Console) -> None:
    """Print it."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    table.add_row("feedbackward", fb.__version__)
    table.add_row("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    table.add_row("numpy", _version("numpy") or "missing")
    torch_version = _version("torch")
    table.add_row("torch", torch_version or "missing: filters need it")
    if torch_version is not None:
        table.add_row("instruction set", _instruction_set())
        table.add_row("GPU", _gpu())
        table.add_row("threads", f"{importlib.import_module('torch').get_num_threads()} of {os.cpu_count()} processors")
    console.print(table, highlight=False)
    console.print()

    extras = Table(title="Extras", title_justify="left", title_style="bold")
    for name in ("extra", "installed", "missing", "gives"):
        extras.add_column(name)
    missing_extras = []
    for extra, (distributions, gives) in _EXTRAS.items():
        versions = {name: _version(name) for name in distributions}
        missing = [name for name, version in versions.items() if version is None]
        if missing:
            missing_extras.append(extra)
        installed = [f"{name} {version}" for name, version in versions.items() if version is not None]
        extras.add_row(extra, ", ".join(installed) or "-", ", ".join(missing) or "-", gives)
    console.print(extras, highlight=False)
    for extra in missing_extras:
        console.print(f'pip install "feedbackward[{extra}]"', highlight=False, markup=False)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _gpu() -> str:
    torch = importlib.import_module("torch")
    if not torch.cuda.is_available():
        return "none that torch sees"
    triton = _version("triton")
    kernels = f"Triton {triton}" if triton else "Triton is missing: pip install triton"
    cudnn = torch.backends.cudnn.version()
    layers = f"cuDNN {cudnn} for dense RNN, GRU and LSTM" if cudnn else "no cuDNN"
    return f"{torch.cuda.get_device_name()}; {kernels}; {layers}"


def _instruction_set() -> str:
    try:
        library = importlib.import_module("feedbackward.ops.library")
        forced = " (forced by FEEDBACKWARD_ISA)" if os.environ.get("FEEDBACKWARD_ISA") else ""
        return f"{library.isa()}{forced}"
    except (ImportError, OSError, RuntimeError) as error:
        return f"not available: {error}"
