"""What the filter layers are compared with: a loop over time in numpy."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def as_numpy(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def through(sos: np.ndarray, x: np.ndarray) -> np.ndarray:
    """x (..., T) through sections (..., sections, 6) in float64, with leading shapes broadcast."""
    leading = np.broadcast_shapes(sos.shape[:-2], x.shape[:-1])
    rows = (sos / sos[..., 3:4]).astype(np.float64)
    y = np.broadcast_to(x, (*leading, x.shape[-1])).astype(np.float64)
    for k in range(sos.shape[-2]):
        b0, b1, b2, _, a1, a2 = np.moveaxis(rows[..., k, :], -1, 0)
        s, t = np.zeros(leading), np.zeros(leading)
        for i in range(x.shape[-1]):
            u = y[..., i].copy()
            y[..., i] = v = b0 * u + s
            s, t = t + b1 * u - a1 * v, b2 * u - a2 * v
    return y


def channels_first(x: np.ndarray, data_format: str) -> np.ndarray:
    """Signals (B, T), (B, T, C) or (B, C, T) with time last."""
    return x.swapaxes(1, 2) if x.ndim == 3 and data_format == "channels_last" else x


def of_bank(sos: np.ndarray, x: np.ndarray, data_format: str) -> np.ndarray:
    """What a bank with these sections (filters, 1, 6) makes of x."""
    x = channels_first(x, data_format)
    y = through(sos, x[..., None, :])
    y = y.reshape(x.shape[0], x.shape[1] * sos.shape[0], x.shape[2]) if x.ndim == 3 else y
    return channels_first(y, data_format)


def of_cascade(sos: np.ndarray, x: np.ndarray, data_format: str) -> np.ndarray:
    """What a cascade, or one per channel, makes of x."""
    return channels_first(through(sos, channels_first(x, data_format)), data_format)
