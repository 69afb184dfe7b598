"""A Kalman filter that tracks position and speed from noisy positions.

    m' = F m[t-1],    P' = F P[t-1] F^T + Q                 predict, F = [[1, dt], [0, 1]]
    S = H P' H^T + R,    K = P' H^T / S                      H = [1, 0]
    m[t] = m' + K (x[t] - H m'),    P[t] = (I - K H) P'      update

Q and R are learned from the likelihood of what was measured, which is the output.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .example import Example, parameter, signal


def kalman(log_q: Tensor, log_r: Tensor, dt: float = 0.1):
    """Log_q (2,), log_r (); m (batch, 2), P (batch, 2, 2), x (batch,)."""

    def cell(state, x):
        mean, covariance = state
        forward = torch.tensor([[1.0, dt], [0.0, 1.0]], dtype=x.dtype)
        mean = mean @ forward.T
        covariance = forward @ covariance @ forward.T + torch.diag(log_q.exp())
        error, variance = x - mean[:, 0], covariance[:, 0, 0] + log_r.exp()
        gain = covariance[:, :, 0] / variance[:, None]
        mean = mean + gain * error[:, None]
        covariance = covariance - gain[:, :, None] * covariance[:, :1, :]
        return (mean, covariance), -0.5 * (error**2 / variance + torch.log(2 * torch.pi * variance))

    return cell


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    log_q, log_r = parameter([-3.0, -2.0], dtype), parameter(-1.0, dtype)
    init = signal(batch, 2, dtype=dtype), torch.eye(2, dtype=dtype).expand(batch, 2, 2)
    return Example(kalman(log_q, log_r), init, signal(steps, batch, dtype=dtype), [log_q, log_r])
