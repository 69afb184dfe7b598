"""What the benchmarks of this repository measured, as small tables for the tutorials."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "latest.json").read_text()
)


def milliseconds(case: str, peer: str) -> float | None:
    """The median time of a call in a run of `make bench`; None where a peer has no such thing."""
    row = RESULTS["cases"][case]["rows"].get(peer)
    return row and 1e3 * row["seconds"]


def extra_memory(case: str, peer: str) -> float | None:
    """Peak memory of one call in MB, less what it returns; None where it was not measured."""
    row = RESULTS["cases"][case]["rows"].get(peer) or {}
    return row["memory"]["extra_mb"] if row.get("memory") else None


def table(cases: Mapping[str, str], peers: Sequence[str], memory: bool = False) -> None:
    """Print a line per peer.

    Args:
        cases: Of the benchmarks, each with the heading of its column.
        peers: Whose rows to show.
        memory: Whether to show memory beside time.
    """
    columns = {f"{heading}, ms": [milliseconds(case, peer) for peer in peers] for case, heading in cases.items()}
    if memory:
        columns |= {f"{heading}, extra MB": [extra_memory(c, peer) for peer in peers] for c, heading in cases.items()}
    width = max(map(len, peers))
    print(" " * width + "".join(f"   {heading}" for heading in columns))
    for row, peer in enumerate(peers):
        print(f"{peer:{width}}" + "".join(f"   {_shown(c[row]):>{len(heading)}}" for heading, c in columns.items()))
    machine = RESULTS["machine"]
    print(f"({machine['cores']} cores with {machine['vector_instructions']}, {RESULTS['date']})")


def _shown(number: float | None) -> str:
    return "-" if number is None else f"{number:,.0f}" if number >= 100 else f"{number:#.3g}"
