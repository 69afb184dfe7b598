"""Ink and paper: colors that color-blind readers tell apart (Okabe and Ito, 2008), on light and on dark pages.

A picture is 5.6 inches wide: as wide as its text is legible, on a screen as on a phone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt

WIDTH = 5.6


@dataclass(frozen=True)
class Ink:
    """The colors of a theme: of text, of what matters, of what it is compared with, of what is in between."""

    text: str
    pale: str  # lines and fillings that stay in the background
    ours: str
    peer: str
    other: str


THEMES = {
    "light": Ink(text="#222222", pale="#d5d9de", ours="#0072B2", peer="#8a929b", other="#D55E00"),
    "dark": Ink(text="#e4e4e4", pale="#474c53", ours="#56B4E9", peer="#878f98", other="#F0A35E"),
}


@contextmanager
def sheet(theme: str, path: Path) -> Iterator[Ink]:
    """Draw what the block draws in a theme, on transparent ground, and save it."""
    ink = THEMES[theme]
    style = {
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": ink.peer,
        "axes.labelcolor": ink.text,
        "axes.titlecolor": ink.text,
        "text.color": ink.text,
        "xtick.color": ink.text,
        "ytick.color": ink.text,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "svg.hashsalt": "feedbackward",
        "axes.grid": False,
        "figure.dpi": 100,
        "figure.constrained_layout.use": False,  # a drawing asks for it where it has axes
    }
    with plt.rc_context(style):
        yield ink
        plt.savefig(path, metadata={"Date": None}, transparent=True)
        plt.close()
