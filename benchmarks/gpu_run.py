"""A run of `benchmarks.gpu`: its arguments, what is measured in which order, and what is printed and written."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from .gpu_cases import CASES
from .gpu_measurement import Measurement
from .gpu_table import HEAD, Verdict, line, verdicts
from .gpu_work import OURS, Case
from .gpu_worker import Worker

OURS_AT_MOST = 180.0  # seconds for one of our measurements, of which most are the truth's, on the CPU
FILE = Path("build/gpu.json")


def main(arguments: list[str] | None = None) -> int:
    """Check and time the chosen cases, print the tables; 0 when all were right and all targets met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="Time feedbackward on a GPU.")
    parser.add_argument("--only", nargs="+", metavar="CASE", choices=[case.name for case in CASES])
    parser.add_argument("--no-peers", action="store_true", help="our measurements alone")
    parser.add_argument("--minutes", type=float, default=9.0, help="stop after so many (default: %(default)s)")
    parser.add_argument("--patience", type=float, default=90.0, help="seconds for a peer's case (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=FILE, help="where the results go (default: %(default)s)")
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes, in Triton's interpreter, on the CPU")
    options = parser.parse_args(arguments)
    if options.rehearse:
        os.environ["TRITON_INTERPRET"] = "1"
    elif not torch.cuda.is_available():
        sys.exit("No GPU: torch.cuda.is_available() is False, so there is nothing to time here.")
    chosen = [case for case in CASES if not options.only or case.name in options.only]
    run = Run(chosen, options.json)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as empty:
        for compiler in ("TRITON", "TORCHINDUCTOR"):
            os.environ[f"{compiler}_CACHE_DIR"] = f"{empty}/{compiler.lower()}"
        ours = Worker("benchmarks.gpu_cases", "pretended" if options.rehearse else "cuda", small=options.rehearse)
        peers = Worker("benchmarks.gpu_cases", "cpu", small=True) if options.rehearse else ours
        try:
            patience = 0 if options.no_peers else options.patience
            run.measure(ours, peers, time.monotonic() + 60 * options.minutes, patience)
        except KeyboardInterrupt:
            print("\nInterrupted. What was measured until then:")
        finally:
            ours.stop()
            peers.stop()
    return run.conclude(options.rehearse)


class Run:
    """The measurements of some cases, printed and written to a file as they come."""

    def __init__(self, cases: Sequence[Case], file: Path) -> None:
        self.cases, self.file = cases, file
        self.about: dict[str, object] = {}
        self.measured: list[Measurement] = []

    def measure(self, ours: Worker, peers: Worker, end: float, patience: float) -> None:
        """Our measurements of every case, then those of the peers, until a time of the clock.

        Args:
            ours: Where we are measured.
            peers: Where they are.
            end: When to stop, of `time.monotonic`.
            patience: Seconds for every measurement of a peer; 0 for no peers.
        """
        print(ours.start() or describe(ours.about), flush=True)
        self.about = ours.about
        print(f"\nTimes in milliseconds; the first call is the one that compiles.\n\n{HEAD}", flush=True)
        jobs = [(case.name, OURS, OURS_AT_MOST) for case in self.cases]
        jobs += [(case.name, name, patience) for case in self.cases for name in case.peers if patience]
        for case, who, seconds in jobs:
            if (left := end - time.monotonic()) > 0:
                self.add((ours if who == OURS else peers).measure(case, who, min(seconds, left)))
            else:
                self.add(Measurement(case, who, trouble="not run: the minutes were over"))

    def add(self, found: Measurement) -> None:
        """Keep, print and write a measurement."""
        self.measured.append(found)
        print(line(found, under=self.measured[-2].case if len(self.measured) > 1 else ""), flush=True)
        self.write()

    def write(self) -> list[Verdict]:
        """The file, as far as things are known."""
        found = list(verdicts(self.cases, self.measured))
        results = self.about | {
            "measurements": [asdict(m) for m in self.measured],
            "targets": [asdict(verdict) for verdict in found],
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.file.with_name(self.file.name + ".unfinished")
        unfinished.write_text(json.dumps(results, indent=1) + "\n")
        unfinished.replace(self.file)
        return found

    def conclude(self, rehearsal: bool) -> int:
        """Print the targets; 0 when all is right, and, where times mean something, all targets are met."""
        found = self.write()
        wrong = [m for m in self.measured if (m.who == OURS and not m.right) or (m.error is not None and not m.right)]
        if not rehearsal:
            print("\n" + "\n".join(verdict.line for verdict in found))
        print(f"\n{len(self.measured)} measurements, {len(wrong)} of them wrong or missing; written to {self.file}")
        return int(bool(wrong) or (not rehearsal and any(verdict.verdict != "met" for verdict in found)))


def describe(about: dict[str, object]) -> str:
    """The device, the versions of what runs, and how fast it copies."""
    names = "torch", "triton", "cuDNN", "torchaudio"
    versions = ", ".join(f"{name} {about[name]}" for name in names if about[name])
    bandwidth = f"{about['copy_bytes_per_second'] / 1e9:.0f} GB/s, bytes read and bytes written both counted"  # type: ignore[operator]
    return f"{about['device']} ({versions})\nA large copy: {bandwidth}"
