"""Coupled oscillators that find a common phase (Kuramoto, 1975), by Euler's method.

    theta_i[t] = theta_i[t-1] + dt (omega_i + K mean_j sin(theta_j[t-1] - theta_i[t-1]) + x_i[t])

The sum over j is a product of means: sin(p - q) = sin p cos q - cos p sin q. The output is the order parameter.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .example import Example, parameter, signal


def kuramoto(omega: Tensor, coupling: Tensor, dt: float = 0.05):
    """Omega (oscillators,), coupling (); theta and x (batch, oscillators)."""

    def cell(theta, x):
        sin, cos = torch.sin(theta), torch.cos(theta)
        mean_sin, mean_cos = sin.mean(-1, keepdim=True), cos.mean(-1, keepdim=True)
        pull = mean_sin * cos - mean_cos * sin
        theta = theta + dt * (omega + coupling * pull + x)
        return theta, torch.sqrt(mean_sin**2 + mean_cos**2).squeeze(-1)

    return cell


def make(batch: int = 8, steps: int = 1000, dtype: torch.dtype = torch.float32) -> Example:
    omega, coupling = parameter(torch.randn(16), dtype), parameter(3.0, dtype)
    init = signal(batch, 16, dtype=dtype)
    return Example(kuramoto(omega, coupling), init, signal(steps, batch, 16, dtype=dtype), [omega, coupling])
