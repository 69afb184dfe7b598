"""What turns one recording into the other, measured: Welch's estimate of a transfer function.

    H(f) = S_xy(f) / S_xx(f),    coherence(f) = |S_xy(f)|^2 / (S_xx(f) S_yy(f))

with the cross and power spectra averaged over overlapping Hann windows and over the channels. The coherence is the part
of y's power at f that a linear filter of x explains: near 1 where H can be trusted, small where there is only noise.

Source: P. Welch, "The use of fast Fourier transform for the estimation of power spectra" (1967).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .equalizer import HIGHEST

POINTS = 128
_LOWEST_HZ = 30.0
_WINDOW_S = 0.5  # long enough to resolve a resonance at the lowest frequency


class Transfer(NamedTuple):
    """A measured response on a logarithmic grid."""

    frequencies: Tensor  # (F,) Hz
    level_db: Tensor  # (F,)
    weight: Tensor  # (F,) coherence, of sum 1


def measure_transfer(dry: NDArray[np.float64], wet: NDArray[np.float64], sample_rate: int) -> Transfer:
    """Estimate the transfer from dry to wet, both (channels, T).

    Returns:
        Levels at ``POINTS`` frequencies from 30 Hz (or from what the length of the recording resolves) to 0.49 of the
        sample rate.
    """
    window = min(2 ** round(math.log2(_WINDOW_S * sample_rate)), 2 ** math.floor(math.log2(dry.shape[-1])))
    xx, yy, xy = _spectra(dry, wet, window)
    frequencies = np.arange(len(xx)) * (sample_rate / window)
    coherence = np.abs(xy) ** 2 / np.maximum(xx * yy, np.finfo(float).tiny)
    level = 20 * np.log10(np.maximum(np.abs(xy), np.finfo(float).tiny) / np.maximum(xx, np.finfo(float).tiny))
    grid = np.geomspace(max(_LOWEST_HZ, frequencies[1]), HIGHEST * sample_rate, POINTS)
    weight = np.interp(grid, frequencies, coherence)
    return Transfer(
        torch.from_numpy(grid),
        torch.from_numpy(np.interp(grid, frequencies, level)),
        torch.from_numpy(weight / max(weight.sum(), np.finfo(float).tiny)),
    )


def _spectra(
    x: NDArray[np.float64], y: NDArray[np.float64], window: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.complex128]]:
    """Power of x, power of y, cross spectrum, (window / 2 + 1,) each."""
    shape = np.hanning(window)
    xx, yy = np.zeros(window // 2 + 1), np.zeros(window // 2 + 1)
    xy = np.zeros(window // 2 + 1, complex)
    pad = ((0, 0), (window // 2, window))  # the beginning and the end count in full
    x, y = np.pad(x, pad), np.pad(y, pad)
    for start in range(0, x.shape[-1] - window + 1, window // 4):
        a = np.fft.rfft(x[:, start : start + window] * shape)
        b = np.fft.rfft(y[:, start : start + window] * shape)
        xx += (np.abs(a) ** 2).sum(0)
        yy += (np.abs(b) ** 2).sum(0)
        xy += (a.conj() * b).sum(0)
    return xx, yy, xy
