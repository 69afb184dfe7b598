"""Where commands compute."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def on_cpu() -> Iterator[None]:
    """On the CPU, whatever torch's default device is: what a command reads and writes lies there."""
    with torch.device("cpu"):
        yield
