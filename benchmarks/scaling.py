"""How the cost grows with time, lanes and sections, and what each instruction set costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .case import OURS
from .quiet import Quiet
from .signals import make_bank

# For each axis: the sizes that vary, and the arguments of make_bank (batch, filters, sections, time) at one size.
SWEEPS: dict[str, tuple[list[int], Callable[[int], tuple[int, int, int, int]]]] = {
    "time": ([2**k for k in range(8, 19)], lambda n: (4, 64, 1, n)),
    "lanes": ([2**k for k in range(4, 14)], lambda n: (1, n, 1, 4096)),
    "sections": ([1, 2, 3, 4, 6, 8, 12, 16], lambda n: (4, 64, n, 4096)),
    "one signal: time": ([2**k for k in range(8, 23)], lambda n: (1, 1, 1, n)),
}
ISA_CASES = ("bank_forward", "bank_gradient", "signal_forward", "signal_gradient", "sections_forward", "block_single")


def sweep(rounds: int, quiet: Quiet, small: bool) -> dict[str, Any]:
    """Seconds of a forward and of a forward and backward call, for every size of every axis: the least of many."""
    from .peers import peer
    from .timing import repeats, sample

    found: dict[str, Any] = {}
    for axis, (sizes, shape) in SWEEPS.items():
        points = []
        for size in sizes[:2] if small else sizes:
            inputs = make_bank(*shape(size))
            point: dict[str, Any] = {"size": size}
            for name, function in (("forward", "cascade"), ("gradient", "cascade_gradient")):
                call = peer("ours", function)(inputs)
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
