"""One case by one of those who compute it: right first, then how long, how much memory, and against what floor.

Times are medians of single calls between two events of the device: "eager" as a program makes the call, "graph" the
same call replayed from a CUDA graph, without what Python and the launches cost. Calls follow each other, so that what
fits the second-level cache is found there, by a copy of the same size as well. In a rehearsal (``small``) a time is one
by the clock of the host, and there are neither graphs nor memory to measure.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from .case import Inputs
from .gpu_measurement import Measurement
from .gpu_work import OURS, Call, Case, error

T = TypeVar("T")

ROUNDS = 15
ENOUGH = 2.0  # seconds: what takes long is called less often
WARM = 0.2  # seconds of calls before the first that counts: a device that idled runs at a lower clock
COPIED = 1 << 30  # bytes of the copy that bandwidth is measured by


def measure(
    case: Case, who: str, device: torch.device, small: bool, report: Callable[[Measurement], None]
) -> Measurement:
    """Everything about one case by one of those who compute it; ``report`` gets what is known after every stage."""
    found = Measurement(case.name, who)
    try:
        for _ in _stages(found, case, device, small):
            report(found)
    except Exception as reason:  # whatever a library raises: the run goes on with the next
        found.trouble = f"{type(reason).__name__}: {(str(reason).strip() or 'no message').splitlines()[0][:200]}"
    report(found)
    return found


def _stages(found: Measurement, case: Case, device: torch.device, small: bool) -> Iterator[None]:
    inputs = case.make(small)
    expected = case.expected(inputs)
    ours = found.who == OURS
    call = (case.ours if ours else case.peers[found.who].build)(inputs, device)
    outputs, found.first = clocked(call, device)
    if not ours:
        outputs = case.peers[found.who].alike(outputs)
    found.error = error(outputs, expected) / tolerated(case, found.who, inputs)
    del outputs, expected
    if not found.right:
        return
    yield
    found.extra = None if small else extra_memory(call, device)
    found.eager = median_time(call, device, small)
    yield
    if ours:
        found.copy = copy_time(case.moved(inputs), device, small)
        yield
    if ours and not small:
        found.graph = graph_time(call, device)


def tolerated(case: Case, who: str, inputs: Inputs) -> float:
    """The relative error that float32, or the arithmetic of a peer, may have in a case."""
    own = case.peers[who].tolerance if who != OURS else None
    return (own or case.tolerance)(inputs)


def clocked(call: Callable[[], T], device: torch.device) -> tuple[T, float]:
    """What a call returns, and its milliseconds by the clock of the host."""
    synchronize(device)
    start = time.perf_counter()
    outputs = call()
    synchronize(device)
    return outputs, 1e3 * (time.perf_counter() - start)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done everything; a fault of an earlier kernel is raised here."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def extra_memory(call: Call, device: torch.device) -> float:
    """Megabytes at the peak of a call, beyond what was allocated before and what it returns."""
    gc.collect()
    synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    outputs = call()
    synchronize(device)
    kept = sum(output.untyped_storage().nbytes() for output in outputs)
    return (torch.cuda.max_memory_allocated(device) - before - kept) / 1e6


def median_time(call: Callable[[], object], device: torch.device, small: bool = False) -> float:
    """Milliseconds of a call."""
    if small:
        return clocked(call, device)[1]
    end = time.perf_counter() + WARM
    while time.perf_counter() < end:
        call()
        synchronize(device)
    times: list[float] = []
    while len(times) < ROUNDS and sum(times) < 1e3 * ENOUGH:
        times.append(_time(call, device))
    return statistics.median(times)


def _time(call: Callable[[], object], device: torch.device) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    synchronize(device)
    begin.record()
    call()
    end.record()
    synchronize(device)
    return float(begin.elapsed_time(end))


def graph_time(call: Call, device: torch.device) -> float:
    """Milliseconds of a replay; what is captured was called on a stream of its own before, as capturing wants it."""
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        call()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = call()
    time = median_time(graph.replay, device)
    del outputs
    return time


def copy_time(size: int, device: torch.device, small: bool = False) -> float:
    """Milliseconds of a copy that reads and writes ``size`` bytes together, called or replayed, whichever is faster."""
    source = torch.zeros(max(size // 8, 1), device=device)
    target = torch.empty_like(source)

    def call() -> Sequence[Tensor]:
        return (target.copy_(source),)

    eager = median_time(call, device, small)
    return eager if small else min(eager, graph_time(call, device))
