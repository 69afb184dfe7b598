"""numpy as a namespace of the formulas: with the two functions that it lacks beside torch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _logit(p: Any) -> Any:
    return np.log(p / (1 - p))


numpy = SimpleNamespace(**{name: getattr(np, name) for name in np.__all__}, sigmoid=_sigmoid, logit=_logit)
"""Everything that numpy has, sigmoid and logit; for the initial values of weights, in float64."""
