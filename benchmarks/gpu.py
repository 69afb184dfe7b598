"""The benchmarks of the GPU: ``python -m benchmarks.gpu [--only CASE ...] [--json FILE]``.

Every case is checked before it is timed, against the same function on the CPU in float64. Its floor is the time in
which the bytes that it has to move would be copied, at the bandwidth that a large copy reaches on this device in this
run. Times are medians of single calls between two events of the device; "graph" is the same call replayed from a CUDA
graph, without what Python and the launches cost.

Without a GPU it says so and exits with 1; ``--rehearse`` runs every line at tiny sizes in Triton's interpreter instead.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from .gpu_filters import FILTERS
from .gpu_scans import SCANS
from .gpu_work import Case, Work

CASES = (*FILTERS, *SCANS)

ROUNDS = 15
COPIED = 1 << 30  # bytes of the copy that bandwidth is measured by


@dataclass
class Row:
    """What became of a case; times in milliseconds."""

    case: str
    floor: float
    eager: float | None = None
    graph: float | None = None
    peer: str = ""
    peer_time: float | None = None
    verdict: str = ""


def main(arguments: list[str] | None = None) -> int:
    """Check and time the chosen cases, print a table; 0 when all were right and all targets met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="Time feedbackward on a GPU.")
    parser.add_argument("--only", nargs="+", metavar="CASE", choices=[case.name for case in CASES])
    parser.add_argument("--json", type=Path, help="where the results go, beside the table")
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes, in Triton's interpreter, on the CPU")
    options = parser.parse_args(arguments)
    if options.rehearse:
        if os.environ.get("FEEDBACKWARD_DEVICE_KERNELS") != "triton":
            sys.exit("--rehearse: set FEEDBACKWARD_DEVICE_KERNELS=triton and TRITON_INTERPRET=1.")
    elif not torch.cuda.is_available():
        sys.exit("No GPU: torch.cuda.is_available() is False, so there is nothing to time here.")
    device = torch.device("cpu" if options.rehearse else "cuda")
    bandwidth = copy_bandwidth(device, 1 << 16 if options.rehearse else COPIED)
    print(describe(device))
    print(f"Copy: {bandwidth / 1e9:.0f} GB/s, bytes read and bytes written both counted\n")
    print(f"{'case':<44}{'floor':>9}{'eager':>9}{'graph':>9}{'x floor':>9}{'peer':>10}{'x faster':>9}  ", flush=True)
    rows = []
    for case in CASES:
        if not options.only or case.name in options.only:
            rows.append(measure(case, device, bandwidth, options.rehearse))
            print(line(rows[-1]), flush=True)
    if options.json:
        results = {
            "device": describe(device),
            "copy_bytes_per_second": bandwidth,
            "rows": [asdict(row) for row in rows],
        }
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return int(any(row.verdict not in ("", "met") for row in rows))


def measure(case: Case, device: torch.device, bandwidth: float, small: bool) -> Row:
    """One row: right first, then how fast."""
    torch.manual_seed(0)
    work = case.make(device, small)
    row = Row(case.name, 1e3 * work.bytes / bandwidth)
    try:
        worst = check(work)
        if worst > 1:
            row.verdict = f"WRONG by {worst:.1f} times the tolerance"
            return row
        row.eager = median_time(work.call, device)
        row.graph = graph_time(work.call, device) if device.type == "cuda" else None
    except (NotImplementedError, ValueError) as error:
        row.verdict = str(error)
        return row
    best = min(t for t in (row.eager, row.graph) if t is not None)
    verdicts: list[bool | None] = []  # None: there was nothing to compare with
    if case.floors:
        verdicts.append(best <= case.floors * row.floor)
    for name, build, factor in () if small else case.peers:
        row.peer = name
        try:
            row.peer_time = median_time(build(device, small), device, rounds=3)
        except Exception as error:  # a peer that cannot run is a row with the reason, and its target is not met
            row.peer = f"{name}: {str(error).splitlines()[0][:60]}"
            verdicts.append(None)
        else:
            verdicts.append(row.peer_time >= factor * best)
    row.verdict = "" if small or not verdicts else "met" if all(verdicts) else "MISSED"
    if row.verdict == "MISSED" and False not in verdicts:
        row.verdict = "UNMEASURED"
    return row


def check(work: Work) -> float:
    """The largest error of any output, in units of what is tolerated."""
    worst = 0.0
    for ours, truth in zip(work.call(), work.truth(), strict=True):
        scale = float(truth.detach().abs().max())
        error = float((ours.detach().cpu().double() - truth.detach()).abs().max())
        worst = max(worst, error / (work.tolerance * scale)) if error == error else float("inf")  # NaN is wrong
    return worst


def copy_bandwidth(device: torch.device, size: int) -> float:
    """Bytes per second that a copy reads and writes."""
    source = torch.zeros(size // 4, device=device)
    target = torch.empty_like(source)
    return 2 * size / (median_time(lambda: target.copy_(source), device) / 1e3)


def median_time(call: Callable[[], object], device: torch.device, rounds: int = ROUNDS) -> float:
    """Milliseconds of a call, after two that are not counted."""
    if device.type == "cpu":  # a rehearsal
        return next(_times(call, device, 1))
    for _ in range(2):
        call()
    return statistics.median(_times(call, device, rounds))


def _times(call: Callable[[], object], device: torch.device, rounds: int) -> Iterator[float]:
    for _ in range(rounds):
        if device.type == "cpu":
            start = time.perf_counter()
            call()
            yield 1e3 * (time.perf_counter() - start)
        else:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            begin.record()
            call()
            end.record()
            torch.cuda.synchronize()
            yield begin.elapsed_time(end)


def graph_time(call: Callable[[], object], device: torch.device) -> float:
    """Milliseconds of a replay, on a stream of its own as capturing wants it."""
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        call()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return median_time(graph.replay, device)


def describe(device: torch.device) -> str:
    """The device and the versions of what ran."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "triton"))
    if device.type == "cpu":
        return f"A rehearsal in Triton's interpreter: its times mean nothing ({versions})"
    properties = torch.cuda.get_device_properties(device)
    return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB ({versions})"


def line(row: Row) -> str:
    """A row of the table."""

    def number(value: float | None) -> str:
        return f"{'':>9}" if value is None else f"{value:9.3f}"

    times = [t for t in (row.eager, row.graph) if t is not None]
    ratio = min(times) / row.floor if times and row.floor > 1e-3 else None  # a microsecond is no floor
    faster = row.peer_time / min(times) if row.peer_time and times else None
    peer = f"{row.peer[:60]:>10}" if row.peer_time is None else f"{row.peer_time:10.3f}"
    numbers = "".join(number(value) for value in (row.floor, row.eager, row.graph, ratio))
    return f"{row.case:<44}{numbers}{peer}{number(faster)}  {row.verdict}"


if __name__ == "__main__":
    sys.exit(main())
