"""The measured numbers, for sentences: ``{{ measured.bank_forward.feedbackward.time }}`` in a page is "15.6 ms".

They come from the committed results, so that no page can say what was not measured.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "latest.json"


def measured() -> dict[str, dict[str, dict[str, str]]]:
    """The time, the ratio to ours and the extra memory of every peer in every case, as text."""
    cases = json.loads(RESULTS.read_text(encoding="utf-8"))["cases"]
    return {
        name: {peer: _texts(row) for peer, row in case["rows"].items() if "seconds" in row}
        for name, case in cases.items()
    }


def _texts(row: dict[str, Any]) -> dict[str, str]:
    texts = {"time": time_text(row["seconds"])}
    if "ratio" in row:
        texts["ratio"] = two_digits(row["ratio"])
    if "extra_mb" in row.get("memory", {}):
        texts["memory"] = megabytes_text(row["memory"]["extra_mb"])
    return texts


def time_text(seconds: float) -> str:
    """Two digits, with the unit that gives them one to three places before the point."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{two_digits(seconds / scale)} {unit}"
    return f"{two_digits(seconds / 1e-9)} ns"


def megabytes_text(megabytes: float) -> str:
    """Megabytes, or gigabytes where there are a thousand."""
    return f"{two_digits(megabytes / 1000)} GB" if megabytes >= 1000 else f"{two_digits(megabytes)} MB"


def two_digits(value: float) -> str:
    """Two significant digits, written without an exponent."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
