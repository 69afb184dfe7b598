"""How the cost grows with time, lanes, sections and channels, and what each instruction set costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .case import OURS, Inputs
from .cases import band
from .cases.cells import maker
from .quiet import Quiet
from .signals import make_bank


@dataclass(frozen=True)
class Sweep:
    """Sizes of an axis, the inputs at one size, and the functions of a peer that compute forward and gradient."""

    sizes: Sequence[int]
    make: Callable[[int], Inputs]
    module: str = "ours"
    forward: str = "cascade"
    gradient: str = "cascade_gradient"


def _powers(first: int, last: int) -> list[int]:
    return [2**k for k in range(first, last + 1)]


def _scan(lanes: int, last: int) -> Sweep:
    def make(n: int) -> Inputs:
        return maker("biquad", lanes, n)(False)

    return Sweep(_powers(8, last), make, "ours_scan", "forward", "gradient")


SWEEPS: dict[str, Sweep] = {
    "time": Sweep(_powers(8, 18), lambda n: make_bank(4, 64, 1, n)),
    "lanes": Sweep(_powers(4, 13), lambda n: make_bank(1, n, 1, 4096)),
    "sections": Sweep([1, 2, 3, 4, 6, 8, 12, 16], lambda n: make_bank(4, 64, n, 4096)),
    "one signal: time": Sweep(_powers(8, 22), lambda n: make_bank(1, 1, 1, n)),
    "scan: time": _scan(256, 17),
    "scan, one lane: time": _scan(1, 20),
    "BandRNN: channels": Sweep(
        _powers(8, 14), lambda n: band.maker(100, 16, 16, n)(False), "ours_layers", "band_forward", "band_gradient"
    ),
}
ISA_CASES = (
    "bank_forward",
    "bank_gradient",
    "signal_forward",
    "signal_gradient",
    "sections_forward",
    "block_single",
    "biquad_512_gradient",
    "compressor_512_gradient",
    "rnn_gradient",
    "layer_gru_gradient",
    "layer_lstm_gradient",
    "band_gradient",
)


def sweeps(rounds: int, quiet: Quiet, small: bool) -> dict[str, Any]:
    """Seconds of a forward and of a forward and backward call, for every size of every axis: the least of many."""
    from .peers import peer
    from .timing import repeats, sample

    found: dict[str, Any] = {}
    for axis, sweep in SWEEPS.items():
        points = []
        for size in sweep.sizes[:2] if small else sweep.sizes:
            inputs = sweep.make(size)
            point: dict[str, Any] = {"size": size}
            for name, function in (("forward", sweep.forward), ("gradient", sweep.gradient)):
                call = peer(sweep.module, function)(inputs)
                call()
                number = repeats(call)
                quiet.wait()
                point[name] = min(sample(call, number) for _ in range(3 * rounds))
            points.append(point)
            print(f"  {axis} {size}: {point['forward'] * 1e3:.3f} / {point['gradient'] * 1e3:.3f} ms", flush=True)
        found[axis] = points
    return found


def instruction_sets(names: list[str], threads: int, rounds: int, small: bool) -> dict[str, Any]:
    """Our times for every instruction set, each in a process that is told to use it."""
    found: dict[str, Any] = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.json"
            command = [sys.executable, "-m", "benchmarks.run", "--only", *ISA_CASES, "--peers", OURS]
            command += ["--no-memory", "--no-scaling", "--no-isa", "--json", str(path)]
            command += ["--threads", str(threads), "--rounds", str(rounds)]
            done = subprocess.run(
                command + ["--small"] * small,
                env=os.environ | {"FEEDBACKWARD_ISA": name},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                found[name] = {"reason": (done.stderr.strip().splitlines() or ["no message"])[-1]}
                continue
            cases = json.loads(path.read_text())["cases"]
        found[name] = {case: found_case["rows"][OURS] for case, found_case in cases.items()}
        print(f"  {name}: done", flush=True)
    return found
