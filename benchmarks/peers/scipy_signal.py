"""scipy.signal: one core, no gradient."""

from __future__ import annotations

import numpy as np

from ..case import Call, Inputs


def lfilter(inputs: Inputs) -> Call:
    """A bank of single biquads: ``lfilter`` for every filter, over the whole batch."""
    from scipy import signal

    b, a, x = (inputs[name] for name in "bax")

    def call() -> tuple[np.ndarray, ...]:
        if len(b) == 1 and len(x) == 1:
            return (signal.lfilter(b[0, 0], a[0, 0], x[0]),)
        y = np.empty((len(x), len(b), x.shape[-1]), np.float32)
        for f in range(len(b)):
            y[:, f] = signal.lfilter(b[f, 0], a[f, 0], x)
        return (y,)

    return call


def sosfilt(inputs: Inputs) -> Call:
    """One cascade over one signal."""
    from scipy import signal

    sos, x = np.concatenate([inputs["b"][0], inputs["a"][0]], -1), inputs["x"][0]
    return lambda: (signal.sosfilt(sos, x),)


def block(inputs: Inputs) -> Call:
    """One block of a stream through one biquad, state in and out."""
    from scipy import signal

    b, a, x, zi = inputs["b"][0, 0], inputs["a"][0, 0], inputs["x"][0], inputs["zi"][0, 0]
    return lambda: signal.lfilter(b, a, x, zi=zi)


def block_sections(inputs: Inputs) -> Call:
    """One block of a stream through a cascade, state in and out."""
    from scipy import signal

    sos, x, zi = np.concatenate([inputs["b"][0], inputs["a"][0]], -1), inputs["x"][0], inputs["zi"][0]
    return lambda: signal.sosfilt(sos, x, zi=zi)
