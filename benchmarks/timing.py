"""Times of calls, taken in interleaved pairs, because on a shared machine only ratios within one run can be trusted."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from .case import Call
from .quiet import Quiet

SAMPLE = 0.005  # seconds: a shorter call is repeated within one sample
WARM = 0.05  # seconds of untimed calls before a sample
EXPENSIVE = 1.0  # seconds: what takes longer is not run untimed before it is timed


@dataclass(frozen=True)
class Pair:
    """Medians over the rounds: seconds per call of each, and the ratio of the second to the first within a round."""

    first: float
    second: float
    ratio: float
    rounds: int


def repeats(call: Call, seconds: float = 0.0) -> int:
    """How often to run a call so that one sample is long enough for the clock; a call known to be long is not run."""
    number = 1
    elapsed = seconds
    while elapsed < SAMPLE:
        elapsed = sample(call, number) * number
        if elapsed < SAMPLE:
            number = max(2 * number, int(number * SAMPLE / max(elapsed, 1e-7)))
    return number


def warm(call: Call) -> None:
    """Run a call untimed, once or for a while.

    After a pause a core is cold, and memory that another call freed, or that stayed free, may be slow to come back, in
    a virtual machine above all.
    """
    end = time.perf_counter() + WARM
    while True:
        call()
        if time.perf_counter() > end:
            return


def sample(call: Call, number: int) -> float:
    """Seconds per call; what a call returns is released after the clock is read, unless the call is repeated."""
    start = time.perf_counter()
    for _ in range(number):
        outputs = call()
    elapsed = time.perf_counter() - start
    del outputs
    return elapsed / number


def pair(first: Call, second: Call, rounds: int, quiet: Quiet, *, seconds: float = 0.0) -> Pair:
    """Time two calls in turn; the order alternates, so that neither always runs in the other's wake.

    ``seconds`` is what one call of the second takes, if that is known: an expensive one is not warmed up.
    """
    numbers = repeats(first), repeats(second, seconds)
    times: list[tuple[float, float]] = []
    for turn in range(rounds):
        quiet.wait()
        elapsed = [0.0, 0.0]
        for which in (1, 0) if turn % 2 else (0, 1):
            if which == 0 or seconds < EXPENSIVE:
                warm((first, second)[which])
            elapsed[which] = sample((first, second)[which], numbers[which])
        times.append((elapsed[0], elapsed[1]))
    return Pair(
        first=statistics.median(one for one, _ in times),
        second=statistics.median(two for _, two in times),
        ratio=statistics.median(two / one for one, two in times),
        rounds=rounds,
    )
