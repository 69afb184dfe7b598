"""The pictures of the site, drawn when it is built, each for light and for dark pages.

``bank.py`` is of another kind: it draws the picture of the README, which is committed.
"""

from __future__ import annotations

from pathlib import Path

from . import measured, schematic
from .style import THEMES, Ink, sheet

ALL = {
    "bank_times": measured.bank_times,
    "bank_memory": measured.bank_memory,
    "against_lanes": measured.against_lanes,
    "two_loops": schematic.two_loops,
    "checkpoints": schematic.checkpoints,
    "segments": schematic.segments,
}

__all__ = ["ALL", "THEMES", "Ink", "draw"]


def draw(name: str, theme: str, path: Path) -> None:
    """Write one picture as SVG, the same bytes for the same numbers."""
    with sheet(theme, path) as ink:
        ALL[name](ink)
