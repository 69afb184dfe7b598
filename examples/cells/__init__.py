"""Cells for `feedbackward.scan`, each with its equation, and numbers to try it on.

    python examples/cells              every cell, timed beside a plain loop
    python examples/cells kalman gru   some of them

From Python, with ``examples`` on the path:

    from cells import CELLS
    cell, init, xs, parameters = CELLS["gru"](batch=32, steps=1000)
    state, y = fb.scan(cell, init, xs)
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from .example import Example

__all__ = ["CELLS", "Example"]

_NAMES = (
    "biquad",
    "comb",
    "compressor",
    "envelope",
    "exponential_smoothing",
    "fitzhugh_nagumo",
    "gru",
    "holt_winters",
    "indrnn",
    "kalman",
    "kuramoto",
    "layer_norm_lstm",
    "lstm",
    "mingru",
    "one_pole",
    "rnn",
    "rotation",
    "spiking",
    "third_order",
)

CELLS: dict[str, Callable[..., Example]] = {n: importlib.import_module(f".{n}", __name__).make for n in _NAMES}
"""By name: what makes the cell, its first carry, xs and parameters, for a ``batch``, ``steps`` and ``dtype``."""
