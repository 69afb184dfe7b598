"""Whether a peer computes what the case asks for, before it is timed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


def error(got: Sequence[Any], expected: Sequence[np.ndarray]) -> float:
    """The largest ||got - expected|| / ||expected|| over the outputs; infinite if one is missing or not finite."""
    if len(got) != len(expected):
        return float("inf")
    worst = 0.0
    for one, want in zip(got, expected, strict=True):
        have = one.detach().cpu().numpy() if isinstance(one, torch.Tensor) else np.asarray(one)
        if have.size != want.size:
            return float("inf")
        difference = have.reshape(want.shape) - want
        distance = float(np.linalg.norm(difference) / np.linalg.norm(want))
        worst = max(worst, distance if np.isfinite(distance) else float("inf"))
    return worst
