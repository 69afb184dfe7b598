"""Additive Holt-Winters: a level, a trend, and one value for every season of a period of m steps.

    forecast[t] = level[t-1] + trend[t-1] + season[t-m]
    level[t]  = alpha (x[t] - season[t-m]) + (1 - alpha) (level[t-1] + trend[t-1])
    trend[t]  = beta (level[t] - level[t-1]) + (1 - beta) trend[t-1]
    season[t] = gamma (x[t] - level[t]) + (1 - gamma) season[t-m]

The seasons wait in a queue: the first is due, the new one goes to the end.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .example import Example, parameter, signal


def holt_winters(weights: Tensor):
    """Weights (3,): alpha, beta, gamma; level, trend and x (batch,), seasons (batch, m)."""

    def cell(state, x):
        alpha, beta, gamma = weights.unbind()
        before, trend, seasons = state
        season = seasons[:, 0]
        forecast = before + trend + season
        level = alpha * (x - season) + (1 - alpha) * (before + trend)
        trend = beta * (level - before) + (1 - beta) * trend
        season = gamma * (x - level) + (1 - gamma) * season
        return (level, trend, torch.cat([seasons[:, 1:], season[:, None]], -1)), forecast

    return cell


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    weights = parameter([0.4, 0.1, 0.2], dtype)
    init = signal(batch, dtype=dtype), signal(batch, dtype=dtype, scale=0.1), signal(batch, 12, dtype=dtype)
    return Example(holt_winters(weights), init, signal(steps, batch, dtype=dtype), [weights])
