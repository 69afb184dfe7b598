"""Inputs, and what their outputs must be: a bank of biquad cascades by scipy in float64, with its adjoint.

A bank has ``filters`` cascades of ``sections`` biquads, every one applied to every signal of the batch:

    b (filters, sections, 3), a (filters, sections, 3) with a[..., 0] = 1, x (batch, time) -> y (batch, filters, time)
"""

from __future__ import annotations

import numpy as np
from scipy import signal

from .case import Inputs


def bandpass(frequency: np.ndarray, q: float, sample_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Band-pass biquads of unit peak gain, from the Audio EQ Cookbook of R. Bristow-Johnson: b and a of (..., 3)."""
    w = 2 * np.pi * frequency / sample_rate
    alpha = np.sin(w) / (2 * q)
    b = np.stack([alpha, 0 * alpha, -alpha], -1)
    a = np.stack([1 + alpha, -2 * np.cos(w), 1 - alpha], -1)
    return b / a[..., :1], a / a[..., :1]


def peaking(frequency: np.ndarray, q: float, gain_db: float, sample_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Peaking-equalizer biquads, from the same cookbook: b and a of (..., 3)."""
    w = 2 * np.pi * frequency / sample_rate
    alpha, amplitude = np.sin(w) / (2 * q), 10 ** (gain_db / 40)
    b = np.stack([1 + alpha * amplitude, -2 * np.cos(w), 1 - alpha * amplitude], -1)
    a = np.stack([1 + alpha / amplitude, -2 * np.cos(w), 1 - alpha / amplitude], -1)
    return b / a[..., :1], a / a[..., :1]


def make_bank(batch: int, filters: int, sections: int, time: int) -> Inputs:
    """White noise and float32 filters between 200 Hz and 7 kHz at 16 kHz, with an output gradient g."""
    rng = np.random.default_rng(0)
    frequency = np.geomspace(200.0, 7000.0, filters * sections).reshape(filters, sections)
    b, a = bandpass(frequency, 2.0, 16e3) if sections == 1 else peaking(frequency, 2.0, 6.0, 16e3)
    draw = (rng.standard_normal(shape, np.float32) for shape in ((batch, time), (batch, filters, time)))
    x, g = draw
    return {"b": b.astype(np.float32), "a": a.astype(np.float32), "x": x, "g": g}


def bank_output(inputs: Inputs) -> list[np.ndarray]:
    """The outputs y of the bank."""
    b, a, x = (inputs[name].astype(np.float64) for name in "bax")
    y = np.empty((len(x), len(b), x.shape[-1]))
    for f in range(len(b)):
        y[:, f] = signal.sosfilt(np.concatenate([b[f], a[f]], -1), x)
    return [y]


def bank_gradients(inputs: Inputs) -> list[np.ndarray]:
    """y, then the gradients of sum(g * y) to b, to a without a0, and to x.

    With y = B/A x: the gradient to b_k is <g, z^-k x/A>, to a_k it is -<g, z^-k y/A>, and to x it is the same filter
    run over g backward in time.
    """
    b, a, x, g = (inputs[name].astype(np.float64) for name in "baxg")
    y, d_b, d_a, d_x = np.empty(g.shape), np.zeros(b.shape), np.zeros(a.shape), np.zeros(x.shape)
    for f in range(len(b)):
        passed = [x]
        for section in range(b.shape[1]):
            passed.append(signal.lfilter(b[f, section], a[f, section], passed[-1]))
        y[:, f] = passed[-1]
        adjoint = g[:, f]
        for section in reversed(range(b.shape[1])):
            pole = a[f, section]
            v, w = (signal.lfilter([1.0], pole, s) for s in (passed[section], passed[section + 1]))
            for k in range(3):
                d_b[f, section, k] = np.vdot(adjoint[:, k:], v[:, : v.shape[1] - k])
                d_a[f, section, k] = -np.vdot(adjoint[:, k:], w[:, : w.shape[1] - k])
            adjoint = signal.lfilter(b[f, section], pole, adjoint[:, ::-1])[:, ::-1]
        d_x += adjoint
    return [y, d_b, d_a[..., 1:], d_x]


def rounding_gain(inputs: Inputs) -> float:
    """The largest factor by which the filters amplify one rounding error: the sum of |impulse response of 1/A|."""
    impulse = np.zeros(8192)
    impulse[0] = 1.0
    poles = inputs["a"].reshape(-1, inputs["a"].shape[-1]).astype(np.float64)
    return max(float(np.abs(signal.lfilter([1.0], pole, impulse)).sum()) for pole in poles)


def bank_tolerance(inputs: Inputs) -> float:
    """Five rounded operations per sample and section in float32, each amplified by the filter."""
    sections = inputs["b"].shape[1]
    return float(5 * sections * rounding_gain(inputs) * np.finfo(np.float32).eps)
