"""How far a filtered signal may lie from the truth: bounds from dtype, order and the filter's own conditioning.

A filter in floating point commits a rounding error of at most (2 n + 4) eps M / 2 per sample, M being the largest sum
of magnitudes that meets in one of its n + 1 accumulators. Such an error is fed back: it reaches the output through
1 / A(z) and adds up to at most G, the sum of |impulse response of 1 / A|; every later section multiplies it by at most
L, the sum of |impulse response of B / A|. The same goes for rounding the normalized coefficients. A kernel that cuts
time into segments, or fuses multiply and add, rounds in other places, not more often: a factor of four covers them.
"""

from __future__ import annotations

import functools
from math import prod
from typing import Any

import numpy as np
import torch
from scipy import signal
from torch import Tensor

SLACK = 4.0
IMPULSE = 1024


def eps(dtype: torch.dtype) -> float:
    return torch.finfo(dtype).eps


def largest(tensor: Tensor | None) -> float:
    return 0.0 if tensor is None or tensor.numel() == 0 else tensor.detach().abs().max().item()


def _rows(c: Tensor) -> np.ndarray:
    wide = torch.complex128 if c.is_complex() else torch.float64
    return c.detach().to(wide).resolve_conj().resolve_neg().reshape(-1, c.shape[-1]).numpy(force=True)


@functools.lru_cache(maxsize=256)
def _largest_gain(rows: bytes, terms: int, dtype: str, numerators: int) -> float:
    """The largest sum of |impulse response| among rows of ``numerators`` b's followed by a's."""
    filters = np.unique(np.frombuffer(rows, dtype).reshape(-1, terms), axis=0)
    impulse = np.zeros(IMPULSE)
    impulse[0] = 1
    responses = (signal.lfilter(row[:numerators], row[numerators:], impulse) for row in filters)
    return max((np.abs(response).sum() for response in responses), default=0.0)


def feedback_gain(a: Tensor) -> float:
    """G of the worst of the filters a (..., na), a0 divided out."""
    rows = _rows(torch.cat([a[..., :1], a], -1))
    return max(_largest_gain(rows.tobytes(), rows.shape[-1], rows.dtype.str, 1), 1.0)


def total_gain(b: Tensor, a: Tensor) -> float:
    """L of the worst of the filters b (..., nb), a (..., na), paired as they broadcast."""
    lead = torch.broadcast_shapes(b.shape[:-1], a.shape[:-1])
    rows = _rows(torch.cat([b.expand(*lead, -1), a.expand(*lead, -1)], -1))
    return _largest_gain(rows.tobytes(), rows.shape[-1], rows.dtype.str, b.shape[-1])


def filter_bound(
    dtype: torch.dtype, sections: list[tuple[Tensor, Tensor]], x: Tensor, zi: Tensor | None = None
) -> float:
    """The largest error of y and of zf, for a cascade of (b, a) run in dtype.

    Coefficients that change over time are given as all their frames, (frames, n): each is taken as a filter of its own.
    """
    state, peak, error = largest(zi), largest(x), 0.0
    for b, a in sections:
        order = max(b.shape[-1], a.shape[-1]) - 1
        gain, total = feedback_gain(a), total_gain(b, a)
        a_sum = largest((a / a[..., :1]).abs().sum(-1))
        b_sum = largest(b.abs().sum(-1)) * largest(1 / a[..., 0])
        out = total * peak + gain * state
        error = max(total, 1.0) * error + gain * (order + 2) * (b_sum * peak + a_sum * out + state)
        peak = out
    return SLACK * eps(dtype) * error


def split(sos: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The cascade of sos (..., sections, 6), as filter_bound takes it."""
    return [(section[..., :3], section[..., 3:]) for section in sos.unbind(-2)]


def assert_filtered(
    actual: Tensor,
    truth: Tensor,
    dtype: torch.dtype,
    sections: list[tuple[Tensor, Tensor]],
    x: Tensor,
    zi: Tensor | None = None,
    note: str = "",
) -> None:
    """Compare a filter's y or zf, computed in dtype, with the truth of a wider (or the same) dtype."""
    bound = filter_bound(dtype, sections, x, zi)
    assert not truth.numel() or bound < 0.02 * max(largest(truth), 0.1), (
        f"the bound {bound} can no longer tell right from wrong {note}"
    )
    near(actual, truth, bound, note)


def assert_allclose(actual: Any, expected: Any, rtol: float = 1e-7, atol: float = 0.0) -> None:
    """numpy's, of arrays and of tensors wherever they are."""
    arrays = (t.numpy(force=True) if isinstance(t, Tensor) else t for t in (actual, expected))
    np.testing.assert_allclose(*arrays, rtol=rtol, atol=atol)


def near(actual: Tensor, truth: Tensor, bound: float, note: str = "") -> None:
    """Same shape, every element within ``bound``; the dtypes may differ in width, never in kind."""
    assert actual.is_complex() == truth.is_complex(), f"{actual.dtype} for {truth.dtype} {note}"
    torch.testing.assert_close(
        actual.detach().to(truth.dtype),
        truth.detach(),
        rtol=0,
        atol=bound,
        msg=lambda text: f"{note}\n{text}",
    )


def gradient_bound(dtype: torch.dtype, sections: list[tuple[Tensor, Tensor]], steps: int, truth: Tensor) -> float:
    """The largest error of a gradient whose true value is ``truth``.

    The adjoint of a filter is the same filter run backward, so each term of the sum over time has been through the
    filter twice; the rounding errors of the sum are a random walk of ``steps`` steps.
    """
    error = prod(feedback_gain(a) for _, a in sections)
    order = max(max(b.shape[-1], a.shape[-1]) for b, a in sections)
    return SLACK * eps(dtype) * (order + 2) * error * max(steps, 1) ** 0.5 * max(largest(truth), 1.0)


def recurrence_bound(dtype: torch.dtype, decay: Tensor, history: Tensor) -> float:
    """The largest error of h, given |decay| < 1 everywhere: an error of 2 eps |h| per step, fed back through decay."""
    return SLACK * 2 * eps(dtype) * largest(history) / (1 - min(largest(decay), 0.999))
