"""The process that measures, and the one that watches it.

A fault on the device ends the process that caused it, and a compiler may take its time. So measurements run in another
process, which sends what it knows after every stage; when it dies, or takes too long, what it sent is kept and a new
process takes the next.

Nothing here imports torch before the process knows its device: a pretended one has to be there first.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import multiprocessing
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .gpu_measurement import Measurement

if TYPE_CHECKING:
    import torch

TESTS = Path(__file__).parents[1] / "tests"
STARTING = 180.0  # seconds in which a process imports torch and finds the device


def serve(connection: Connection, module: str, kind: str, small: bool) -> None:
    """Measure the cases that are asked for, until there is nothing more or the device is out of order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who watches decides
    if kind == "pretended":
        sys.path.insert(0, str(TESTS))
        import pretended

        pretended.install()
    import torch

    from .gpu_measure import measure, synchronize

    cases = {case.name: case for case in importlib.import_module(module).CASES}
    device = torch.device("cpu" if kind == "cpu" else "cuda")
    connection.send(about(device, small))
    while True:
        case, who = connection.recv()
        measure(cases[case], who, device, small, connection.send)
        synchronize(device)  # raises, and so ends this process, where a kernel left the device unusable
        connection.send(None)  # done


def about(device: torch.device, small: bool) -> dict[str, object]:
    """The device, what it copies by the second, and the versions of what runs there."""
    import torch

    from .gpu_measure import COPIED, copy_time

    size = 1 << 16 if small else 2 * COPIED
    found: dict[str, object] = {
        "device": "A rehearsal in Triton's interpreter: its times mean nothing",
        "copy_bytes_per_second": size / (copy_time(size, device, small) / 1e3),
        "cuDNN": None if small else torch.backends.cudnn.version(),
    }
    if not small:
        properties = torch.cuda.get_device_properties(device)
        found["device"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return found | {name: _version(name) for name in ("feedbackward", "torch", "triton", "torchaudio")}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


class Worker:
    """A process that measures, renewed when it has to be.

    Args:
        module: The module whose ``CASES`` it measures.
        device: ``"cuda"``; for a rehearsal, ``"pretended"`` where our kernels are interpreted, or ``"cpu"``.
        small: Whether the tiny workloads are meant.
    """

    def __init__(self, module: str, device: str, small: bool) -> None:
        self.given = module, device, small
        self.about: dict[str, object] = {}
        self.process: Any = None
        self.connection: Any = None

    def start(self) -> str:
        """Have a process; why there is none, or nothing."""
        if self.process is not None and self.process.is_alive():
            return ""
        self.stop()
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, *self.given))
        self.process.start()
        theirs.close()
        try:
            if self.connection.poll(STARTING):
                self.about = self.connection.recv()
                return ""
            reason = f"no process was ready within {STARTING:.0f} s"
        except (EOFError, OSError):
            self.process.join(5)
            reason = f"a new process ended with {self.process.exitcode}"
        self.stop()
        return reason

    def measure(self, case: str, who: str, seconds: float) -> Measurement:
        """A measurement, or as much of it as was known when its process died or the time was over."""
        found = Measurement(case, who)
        if reason := self.start():
            found.trouble = reason
            return found
        end = time.monotonic() + seconds
        try:
            self.connection.send((case, who))
            while self.connection.poll(max(end - time.monotonic(), 0)):
                told = self.connection.recv()
                if told is None:
                    return found
                found = told
            found.trouble = f"stopped after {seconds:.0f} s"
        except (EOFError, OSError):
            self.process.join(5)
            found.trouble = found.trouble or f"its process ended with {self.process.exitcode}"
        self.stop()
        return found

    def stop(self) -> None:
        """End the process, whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.connection.close()
        self.process = None
