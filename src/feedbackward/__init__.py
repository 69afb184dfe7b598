"""Feedback, with a backward pass.

    state[t], y[t] = cell(state[t-1], x[t]; parameters),    t = 0 .. T-1

Every recurrence of this shape runs as one native loop, forward and backward. Names are imported when they are first
used, so that ``import feedbackward`` needs no framework and costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "lfilter": "filters.lfilter",
    "sosfilt": "filters.sosfilt",
    "filtfilt": "filters.filtfilt",
    "sosfiltfilt": "filters.filtfilt",
    "lfilter_zi": "filters.initial",
    "sosfilt_zi": "filters.initial",
    "lfiltic": "filters.initial",
    "linear_recurrence": "filters.linear",
    "scan": "engine.scan",
    "explain_cell": "engine.explain",
    "explain": "watch.explain",
    "band_matmul": "ops.band",
    "rnn": "recurrent.functional",
    "gru": "recurrent.functional",
    "lstm": "recurrent.functional",
    "tbptt": "recurrent.tbptt",
    "Dense": "recurrent.structures",
    "Banded": "recurrent.structures",
    "BlockDiagonal": "recurrent.structures",
    "Diagonal": "recurrent.structures",
    "LowRankPlusDiagonal": "recurrent.structures",
}
_FOLDERS = ("design", "nn", "reference", "script")

__all__ = [*_HOME, *_FOLDERS, "__version__"]

if TYPE_CHECKING:
    from . import design as design
    from . import nn as nn
    from . import reference as reference
    from . import script as script
    from .engine.explain import explain_cell as explain_cell
    from .engine.scan import scan as scan
    from .filters.filtfilt import filtfilt as filtfilt
    from .filters.filtfilt import sosfiltfilt as sosfiltfilt
    from .filters.initial import lfilter_zi as lfilter_zi
    from .filters.initial import lfiltic as lfiltic
    from .filters.initial import sosfilt_zi as sosfilt_zi
    from .filters.lfilter import lfilter as lfilter
    from .filters.linear import linear_recurrence as linear_recurrence
    from .filters.sosfilt import sosfilt as sosfilt
    from .ops.band import band_matmul as band_matmul
    from .recurrent.functional import gru as gru
    from .recurrent.functional import lstm as lstm
    from .recurrent.functional import rnn as rnn
    from .recurrent.structures import Banded as Banded
    from .recurrent.structures import BlockDiagonal as BlockDiagonal
    from .recurrent.structures import Dense as Dense
    from .recurrent.structures import Diagonal as Diagonal
    from .recurrent.structures import LowRankPlusDiagonal as LowRankPlusDiagonal
    from .recurrent.tbptt import tbptt as tbptt
    from .watch.explain import explain as explain


def __getattr__(name: str) -> Any:
    if name not in _HOME and name not in _FOLDERS:
        raise AttributeError(f"module 'feedbackward' has no attribute {name!r}")
    try:
        module = importlib.import_module(f".{_HOME.get(name, name)}", __name__)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ModuleNotFoundError(
            f"feedbackward.{name} needs PyTorch, which is not installed: install the build you want "
            "(https://pytorch.org/get-started), or `pip install feedbackward[torch]` for the default one.",
            name="torch",
        ) from error
    value = getattr(module, name) if name in _HOME else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
