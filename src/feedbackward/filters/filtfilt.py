"""Filtering forward and backward: zero phase, and the squared magnitude response.

    y = R F R F x,    F the filter, R reversal in time

on a signal that is extended at both ends, so that the transients of F fall outside.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .arguments import check_broadcast, readable, tensors_of, time_axis
from .initial import steady_state, steady_states
from .lfilter import lfilter
from .sosfilt import sosfilt

_PADTYPES = ("odd", "even", "constant", None)


def filtfilt(
    b: Tensor, a: Tensor, x: Tensor, dim: int = -1, padtype: str | None = "odd", padlen: int | None = None
) -> Tensor:
    """Filters x forward, then backward, along ``dim``; scipy.signal.filtfilt (method "pad") with gradients.

    The result has zero phase and the response abs(H)^2. Both passes start in the steady state for the first sample of
    the extended signal (`lfilter_zi`).

    Args:
        b: Numerator, (..., nb).
        a: Denominator, (..., na); leading shapes broadcast with x without its time axis.
        x: Signal, with time along ``dim``.
        dim: The time axis.
        padtype: How x is extended: ``"odd"`` (point reflection at the ends), ``"even"`` (mirror), ``"constant"`` (the
            end samples), or None: not at all.
        padlen: Samples of extension at each end, fewer than T. None: 3 max(nb, na).

    Returns:
        y, of the broadcast shape, with time where x has it.

    Raises:
        TypeError: An argument is not a tensor, or not of a known dtype.
        ValueError: Shapes do not fit, ``padtype`` is unknown, ``padlen`` is negative or not below T, a[0] is 0, or
            there is a pole at z = 1.

    Example:
        >>> import torch, feedbackward as fb
        >>> fb.filtfilt(torch.tensor([0.5, 0.5]), torch.tensor([1.0]), torch.ones(9))
        tensor([1., 1., 1., 1., 1., 1., 1., 1., 1.])

    Source:
        F. Gustafsson, Determining the initial states in forward-backward filtering, IEEE Trans. Signal Processing 44
        (4), 1996, discusses the choice of the initial states; the one here is scipy's.
    """
    b, a, x = tensors_of("filtfilt", {"b": b, "a": a, "x": x})
    zi = steady_state("filtfilt", b, a)
    taps = max(b.shape[-1], a.shape[-1])

    def run(signal: Tensor, state: Tensor) -> Tensor:
        return lfilter(b, a, signal, zi=zi * state.unsqueeze(-1))[0]

    return _both_ways("filtfilt", run, tuple(zi.shape[:-1]), x, dim, padtype, 3 * taps if padlen is None else padlen)


def sosfiltfilt(
    sos: Tensor, x: Tensor, dim: int = -1, padtype: str | None = "odd", padlen: int | None = None
) -> Tensor:
    """Filters x forward, then backward, with a cascade of biquads; scipy.signal.sosfiltfilt with gradients.

    Args:
        sos: Sections, (..., sections, 6).
        x: Signal, with time along ``dim``.
        dim: The time axis.
        padtype: As in `filtfilt`.
        padlen: Samples of extension at each end, fewer than T. None: 3 (2 sections + 1 - m), where m counts the
            sections whose b2 (or, if fewer, whose a2) is 0; m is 0 while tracing, under a transform or while
            a CUDA graph is captured, where values cannot be looked at.

    Returns:
        y, of the broadcast shape, with time where x has it.

    Raises:
        TypeError: An argument is not a tensor, or not of a known dtype.
        ValueError: Shapes do not fit, ``padtype`` is unknown, ``padlen`` is negative or not below T, an a0 is 0, or
            there is a pole at z = 1.

    Example:
        >>> import torch, feedbackward as fb
        >>> fb.sosfiltfilt(torch.tensor([[0.5, 0.5, 0.0, 1.0, 0.0, 0.0]]), torch.ones(9))
        tensor([1., 1., 1., 1., 1., 1., 1., 1., 1.])

    Source:
        As `filtfilt`.
    """
    sos, x = tensors_of("sosfiltfilt", {"sos": sos, "x": x})
    zi = steady_states("sosfiltfilt", sos)
    if padlen is None:
        idle = 0
        if readable(sos, waiting=True):
            idle = int(torch.minimum((sos[..., 2] == 0).sum(-1), (sos[..., 5] == 0).sum(-1)).min())
        padlen = 3 * (2 * sos.shape[-2] + 1 - idle)

    def run(signal: Tensor, state: Tensor) -> Tensor:
        return sosfilt(sos, signal, zi=zi * state[..., None, None])[0]

    return _both_ways("sosfiltfilt", run, tuple(zi.shape[:-2]), x, dim, padtype, padlen)


def _both_ways(
    function: str,
    run: Callable[[Tensor, Tensor], Tensor],
    leading: tuple[int, ...],
    x: Tensor,
    dim: int,
    padtype: str | None,
    padlen: int,
) -> Tensor:
    """Runs ``run(signal, first)``, which starts in the steady state for the sample ``first``, forward and backward."""
    dim = time_axis(function, dim, x)
    signal = x.movedim(dim, -1)
    check_broadcast(function, {"the coefficients": leading, "x without time": tuple(signal.shape[:-1])})
    if padtype not in _PADTYPES:
        raise ValueError(f"{function}: padtype is {padtype!r}, expected 'odd', 'even', 'constant' or None")
    length = 0 if padtype is None else padlen
    if length < 0 or length >= signal.shape[-1]:
        raise ValueError(f"{function}: padlen is {length}, expected 0 <= padlen < {signal.shape[-1]}, the samples of x")
    extended = _extend(signal, padtype, length)
    y = run(extended, extended[..., 0])
    y = run(y.flip(-1), y[..., -1]).flip(-1)
    return y[..., length : y.shape[-1] - length].movedim(-1, dim)


def _extend(x: Tensor, padtype: str | None, length: int) -> Tensor:
    if not length:
        return x
    first, last = x[..., :1], x[..., -1:]
    if padtype == "constant":
        shape = (*x.shape[:-1], length)
        return torch.cat([first.expand(shape), x, last.expand(shape)], -1)
    left, right = x[..., 1 : length + 1].flip(-1), x[..., -length - 1 : -1].flip(-1)
    if padtype == "odd":
        left, right = 2 * first - left, 2 * last - right
    return torch.cat([left, x, right], -1)
