"""Peers that run in environments of their own, which `make` makes: a call costs some 50 us more than theirs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path

import numpy as np

from ..case import Build, Call, Inputs, NotMeasuredError

ROOT = Path(__file__).parents[2]


def elsewhere(framework: str, module: str, function: str) -> Build:
    """A peer of ``benchmarks.peers`` that needs a framework, in the environment ``.venv-FRAMEWORK``."""

    def build(inputs: Inputs) -> Call:
        home = Path(os.environ.get("VENV", sys.prefix)).resolve()
        python = home.with_name(f"{home.name}-{framework}") / "bin" / "python"
        if not python.exists():
            raise NotMeasuredError(f"there is no environment with it: `make test-{framework}` makes one")
        return _served(python, f"benchmarks.peers.{module}", function, inputs)

    return build


def _served(python: Path, module: str, function: str, inputs: Inputs) -> Call:
    folder = tempfile.TemporaryDirectory()
    given, outputs = (str(Path(folder.name) / name) for name in ("inputs.npz", "outputs.npz"))
    np.savez(given, **inputs)
    process = subprocess.Popen(
        [str(python), "-m", "benchmarks.served", module, function, given, outputs],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    found: list[np.ndarray] = []

    def call() -> list[np.ndarray]:
        assert process.stdin
        assert process.stdout
        try:
            print(file=process.stdin, flush=True)
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            assert process.stderr
            lines = process.stderr.read().strip().splitlines()
            raise NotMeasuredError(lines[-1] if lines else f"it ended with {process.wait()}")
        if not found:
            with np.load(outputs) as results:
                found.extend(results.values())
            folder.cleanup()
        return found

    weakref.finalize(call, process.kill)
    return call
