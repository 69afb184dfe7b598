"""torch.nn's recurrent cells, and modules with their call ``h = cell(x, h)``, as cells of a scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn


def as_cell(cell: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """``(carry, x) -> (carry, y)`` for anything that `scan` takes.

    Raises:
        TypeError: It cannot be called.
    """
    if isinstance(cell, nn.LSTMCell):
        return _lstm(cell)
    if isinstance(cell, nn.RNNCellBase) or getattr(cell, "like_torch_cell", False):
        return _hidden(cell)
    if not callable(cell):
        raise TypeError(f"scan: cell is a {type(cell).__name__}, expected a function (carry, x) -> (carry, y)")
    return cell


def _hidden(cell: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def step(h: Any, x: Any) -> Any:
        h = cell(x, h)
        return h, h

    return step


def _lstm(cell: nn.LSTMCell) -> Callable[[Any, Any], Any]:
    def step(state: Any, x: Any) -> Any:
        h, c = cell(x, state)
        return type(state)((h, c)), h

    return step
