"""One case: every peer is built, checked, timed beside ours and, where asked, weighed."""

from __future__ import annotations

import statistics
import time
from typing import Any

from . import memory, timing
from .case import OURS, Call, Case, NotMeasuredError, Target
from .check import error
from .quiet import Quiet

SLOW, VERY_SLOW = 1.0, 5.0  # seconds per call from which on two rounds must do, or one


def run_case(
    case: Case, quiet: Quiet, *, rounds: int, threads: int, only: set[str] | None, weigh: bool, small: bool
) -> dict[str, Any]:
    """Rows for floors and peers, and the verdict on every target."""
    inputs = case.make(small)
    expected = case.expected(inputs)
    tolerance = case.tolerance(inputs)
    rounds = min(rounds, case.rounds or rounds)
    rows: dict[str, dict[str, Any]] = {}
    ours: Call | None = None
    for name, build in {**case.peers, **case.floors}.items():
        if only is not None and name not in only and name != OURS and name not in case.floors:
            continue
        row: dict[str, Any] = {"floor": name in case.floors}
        rows[name] = row
        try:
            call = build(inputs)
            start = time.perf_counter()
            outputs = call()
            seconds = time.perf_counter() - start
        except (ImportError, OSError, AttributeError, NotImplementedError, NotMeasuredError) as problem:
            row["reason"] = _sentence(problem)
            continue
        if name not in case.floors:
            row["error"] = error(outputs, expected)
            row["tolerance"] = tolerance
            if row["error"] > tolerance:
                row["reason"] = f"wrong by {row['error']:.1e}, allowed {tolerance:.1e}; not timed"
                continue
        del outputs
        if name == OURS:
            ours = call
            both = timing.pair(call, call, rounds, quiet)  # the noise of a ratio: its row should say 1
        else:
            if seconds < VERY_SLOW:  # the first call may have compiled something
                seconds = timing.sample(call, 1)
            turns = 1 if seconds > VERY_SLOW else min(rounds, 2) if seconds > SLOW else rounds
            both = timing.pair(ours or call, call, turns, quiet, seconds=seconds)
        row["seconds"] = both.second
        row["rounds"] = both.rounds
        if ours is not None:
            row["ours_seconds"] = both.first
            row["ratio"] = both.ratio
        if weigh and case.memory and name not in case.floors:
            row["memory"] = memory.measure(case.name, name, threads)
        _say(name, row)
    if ours is not None:
        rows[OURS]["seconds"] = statistics.median(row["ours_seconds"] for row in rows.values() if "ours_seconds" in row)
    return {
        "title": case.title,
        "rows": rows,
        "targets": [_verdict(target, rows) for target in case.targets],
    }


def _verdict(target: Target, rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The measured value of a target, or none where its row was not measured."""
    row = rows.get(target.peer, {})
    value: float | None = None
    if target.quantity == "memory":
        value = row.get("memory", {}).get("extra_mb")
    elif target.quantity == "microseconds":
        value = row["seconds"] * 1e6 if "seconds" in row else None
    elif "ratio" in row:
        value = row["ratio"] if target.quantity == "speedup" else 1 / row["ratio"]
    return {
        "text": target.text,
        "quantity": target.quantity,
        "limit": target.limit,
        "value": value,
        "met": None if value is None else target.met(value),
    }


def _sentence(problem: Exception) -> str:
    return " ".join(str(problem).split()).split(": /")[0][:200] or type(problem).__name__


def _say(name: str, row: dict[str, Any]) -> None:
    duration = f"{row['seconds'] * 1e3:10.3f} ms"
    ratio = f"{row['ratio']:8.2f} x ours" if "ratio" in row else ""
    extra = row.get("memory", {}).get("extra_mb")
    print(f"  {name:32}{duration}  {ratio}" + ("" if extra is None else f"  {extra:8.1f} MB extra"), flush=True)
