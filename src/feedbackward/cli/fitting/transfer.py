"""What turns one recording into the other, measured: Welch's estimate of a transfer function.

    H(f) = S_xy(f) / S_xx(f),    coherence(f) = |S_xy(f)|^2 / (S_xx(f) S_yy(f))

with the cross and power spectra averaged over overlapping Hann windows and over the channels. The coherence is the part
of y's power at f that a linear filter of x explains: near 1 where H can be trusted, small where there is only noise.

The phase of H alone, transformed back to time, is a pulse at the delay between the recordings, of the sign of the
polarity: the phase of an equalizer's sections spreads it a little, and does not move it.

Sources: P. Welch, "The use of fast Fourier transform for the estimation of power spectra" (1967); C. Knapp and
G. Carter, "The generalized correlation method for estimation of time delay" (1976), the phase transform.
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
_WINDOW_S = 1.0  # resolves a resonance at the lowest frequency
_TINY = np.finfo(np.float64).tiny


class Transfer(NamedTuple):
    """A measured response on a logarithmic grid."""

    frequencies: Tensor  # (F,) Hz
    level_db: Tensor  # (F,)
    weight: Tensor  # (F,) coherence, of sum 1
    coherence: float  # mean over the grid, 0 .. 1
    delay: int  # samples that wet comes after dry
    polarity: int  # 1, or -1 where wet is upside down


def measure_transfer(dry: NDArray[np.float64], wet: NDArray[np.float64], sample_rate: int) -> Transfer:
    """Estimate the transfer from dry to wet, both (channels, T).

    Returns:
        Levels at ``POINTS`` frequencies from 30 Hz (or from what the length of the recording resolves) to 0.49 of the
        sample rate.
    """
    window = 2 ** math.floor(math.log2(min(_WINDOW_S * sample_rate, dry.shape[-1] / 2)))
    xx, yy, xy = _spectra(dry, wet, window)
    frequencies = np.arange(len(xx)) * (sample_rate / window)
    coherence = np.abs(xy) ** 2 / np.maximum(xx * yy, _TINY)
    level = 20 * np.log10(np.maximum(np.abs(xy), _TINY) / np.maximum(xx, _TINY))
    grid = np.geomspace(max(_LOWEST_HZ, frequencies[1]), HIGHEST * sample_rate, POINTS)
    weight = np.interp(grid, frequencies, coherence)
    pulse = np.fft.irfft(coherence * xy / np.maximum(np.abs(xy), _TINY))
    peak = int(np.argmax(np.abs(pulse)))
    return Transfer(
        torch.from_numpy(grid),
        torch.from_numpy(np.interp(grid, frequencies, level)),
        torch.from_numpy(weight / max(weight.sum(), _TINY)),
        float(weight.mean()),
        peak if peak < window // 2 else peak - window,
        -1 if pulse[peak] < 0 else 1,
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
