"""What a filter does to each frequency, differentiable in its coefficients.

    H(e^jw) = sum_k b_k e^-jwk / sum_k a_k e^-jwk,    group delay = -d arg H / dw

Names, argument order and frequency grids are scipy.signal's; coefficients may carry any leading shape, one filter each,
and the frequency axis comes last. Polynomials are evaluated in double precision, where 1 + a1 + a2 of a narrow filter
does not cancel away, and the result is returned in the precision of the coefficients.

Source: A. Oppenheim and R. Schafer, "Discrete-Time Signal Processing", chapter 5.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._operands import as_wide, promote_any


def freqz(
    b: Any,
    a: Any = 1.0,
    worN: int | Sequence[float] | Tensor = 512,
    whole: bool = False,
    *,
    fs: float = 2 * math.pi,
    include_nyquist: bool = False,
) -> tuple[Tensor, Tensor]:
    """Frequency response of a digital filter.

    Args:
        b: numerator (..., nb), real or complex.
        a: denominator (..., na); leading shapes broadcast. It needs no normalization.
        worN: number of frequencies from 0 up to half of `fs` (without it, unless `include_nyquist`), or the
            frequencies themselves, one axis, in units of `fs`. Gradients flow to a tensor of frequencies.
        whole: go once around the circle, up to `fs`.
        fs: sample rate. Radians per sample by default.
        include_nyquist: let the grid end at half of `fs` (not with `whole`).

    Returns:
        Frequencies w (W,) in units of `fs`, and the complex response h (..., W).

    Raises:
        ValueError: a grid without points or with more than one axis.

    Example:
        >>> w, h = freqz(torch.tensor([0.5, 0.5]), worN=4, fs=8.0)
        >>> w
        tensor([0., 1., 2., 3.])
        >>> h.abs()
        tensor([1.0000, 0.9239, 0.7071, 0.3827])
    """
    b, a = _coefficients("freqz", b=b, a=a)
    w = _grid("freqz", b, worN, whole, fs, include_nyquist)
    h = _evaluate(b, w, fs) / _evaluate(a, w, fs)
    return w.to(b.real.dtype), h.to(_complex(b))


def sosfreqz(
    sos: Any,
    worN: int | Sequence[float] | Tensor = 512,
    whole: bool = False,
    *,
    fs: float = 2 * math.pi,
    include_nyquist: bool = False,
) -> tuple[Tensor, Tensor]:
    """Frequency response of a cascade of second-order sections: the product over its sections.

    Args:
        sos: rows [b0, b1, b2, a0, a1, a2], (..., sections, 6).
        worN: number of frequencies or the frequencies, as in :func:`freqz`.
        whole: go once around the circle.
        fs: sample rate. Radians per sample by default.
        include_nyquist: let the grid end at half of `fs`.

    Returns:
        Frequencies w (W,) and the complex response h (..., W).

    Raises:
        ValueError: sos is not (..., sections, 6), or a bad grid.

    Example:
        >>> from feedbackward.design import lowpass
        >>> sos = lowpass(torch.tensor([1000.0, 1000.0]), sample_rate=8000)
        >>> w, h = sosfreqz(sos, worN=[1000.0], fs=8000)
        >>> round(20 * h.abs().log10().item(), 2)
        -6.02
    """
    (sos,) = _coefficients("sosfreqz", sos=sos)
    _check_sos("sosfreqz", sos)
    w = _grid("sosfreqz", sos, worN, whole, fs, include_nyquist)
    h = _evaluate(sos[..., :3], w, fs) / _evaluate(sos[..., 3:], w, fs)  # (..., sections, W)
    return w.to(sos.real.dtype), functools.reduce(operator.mul, h.unbind(-2)).to(_complex(sos))


def group_delay(
    system: Any,
    w: int | Sequence[float] | Tensor = 512,
    whole: bool = False,
    *,
    fs: float = 2 * math.pi,
) -> tuple[Tensor, Tensor]:
    """Group delay in samples: Re[sum k b_k z^-k / B(z)] - Re[sum k a_k z^-k / A(z)] on the unit circle.

    Args:
        system: a pair (b, a) of coefficients (..., nb), (..., na), or one tensor of sections (..., sections, 6).
        w: number of frequencies or the frequencies, as `worN` of :func:`freqz`.
        whole: go once around the circle.
        fs: sample rate. Radians per sample by default.

    Returns:
        Frequencies w (W,) in units of `fs`, and the delay (..., W) in samples. Where the response has a zero on the
        unit circle the delay is not defined, and the share of that polynomial is given as 0.

    Raises:
        ValueError: sections that are not (..., sections, 6), or a bad grid.

    Example:
        >>> w, delay = group_delay((torch.tensor([0.0, 0.0, 1.0]), 1.0), w=3)
        >>> delay
        tensor([2., 2., 2.])
    """
    if isinstance(system, tuple):
        b, a = _coefficients("group_delay", b=system[0], a=system[1])
    else:
        (sos,) = _coefficients("group_delay", sos=system)
        _check_sos("group_delay", sos)
        b, a = sos[..., :3], sos[..., 3:]
    grid = _grid("group_delay", b, w, whole, fs, False)
    delay = _delay(b, grid, fs) - _delay(a, grid, fs)
    delay = delay if isinstance(system, tuple) else delay.sum(-2)
    return grid.to(b.real.dtype), delay.to(b.real.dtype)


def pole_radius(a: Any) -> Tensor:
    """The largest magnitude among the poles of a denominator; the filter is stable when it is below 1.

    Up to order 2 in closed form, above it from the eigenvalues of the companion matrix, in double precision.
    Differentiable wherever the outermost pole is a simple one. For sections, ``pole_radius(sos[..., 3:])`` is the
    radius of each.

    Args:
        a: coefficients (..., na), real or complex, a[..., 0] not zero.

    Returns:
        Radius (...), 0 where there is no pole.

    Example:
        >>> pole_radius(torch.tensor([[1.0, 0.0, 0.81], [2.0, -1.0, 0.0]]))
        tensor([0.9000, 0.5000])
    """
    (given,) = _coefficients("pole_radius", a=a)
    wide = (given / given[..., :1]).to(torch.complex128 if given.is_complex() else torch.float64)
    return _radius(wide[..., 1:]).to(given.real.dtype)


def _radius(a: Tensor) -> Tensor:
    """Of the polynomial 1 + a[..., 0] z^-1 + ..., without its leading 1."""
    order = a.shape[-1]
    if order == 0:
        return a.real.new_zeros(a.shape[:-1])
    if order == 1:
        return torch.abs(a[..., 0])
    if order == 2 and not a.is_complex():
        half, product = a[..., 0].abs() / 2, a[..., 1]
        is_real = half.square() >= product
        root = torch.where(is_real, half.square() - product, 1.0).sqrt()
        return torch.where(is_real, half + root, torch.where(is_real, 1.0, product).sqrt())
    shift = torch.eye(order - 1, order, dtype=a.dtype, device=a.device).expand(*a.shape[:-1], order - 1, order)
    companion = torch.cat([-a.unsqueeze(-2), shift], dim=-2)
    return torch.linalg.eigvals(companion).abs().amax(-1)


def _coefficients(function: str, **values: Any) -> tuple[Tensor, ...]:
    """Tensors of one dtype with at least one axis."""
    tensors = promote_any(**values)
    for name, tensor in zip(values, tensors, strict=True):
        if tensor.ndim and tensor.shape[-1] == 0:
            raise ValueError(f"{function}: {name} has shape {tuple(tensor.shape)}, expected at least one coefficient")
    return tuple(torch.atleast_1d(tensor) for tensor in tensors)


def _grid(
    function: str,
    like: Tensor,
    worN: int | Sequence[float] | Tensor,
    whole: bool,
    fs: float,
    include_nyquist: bool,
) -> Tensor:
    """Frequencies in units of fs, (W,), float64."""
    if isinstance(worN, int):
        if worN < 1:
            raise ValueError(f"{function}: the number of frequencies is {worN}, expected at least 1")
        steps = worN - 1 if include_nyquist and not whole and worN > 1 else worN
        last = fs if whole else fs / 2
        return torch.arange(worN, dtype=torch.float64, device=like.device) * (last / steps)
    w = as_wide(worN, like.device).to(like.device)
    if w.ndim != 1:
        raise ValueError(f"{function}: the frequencies have shape {tuple(w.shape)}, expected one axis")
    return w.to(torch.float64)


def _evaluate(c: Tensor, w: Tensor, fs: float) -> Tensor:
    """sum_k c_k e^-jwk for c (..., n) and w (W,): (..., W)."""
    k = torch.arange(c.shape[-1], dtype=torch.float64, device=c.device)
    angle = torch.outer(k, w * (2 * math.pi / fs))
    return c.to(torch.complex128) @ torch.complex(torch.cos(angle), -torch.sin(angle))


def _delay(c: Tensor, w: Tensor, fs: float) -> Tensor:
    """Re[sum_k k c_k z^-k / C(z)], (..., W); 0 where C is zero to rounding, as in scipy."""
    weighted = c.to(torch.complex128) * torch.arange(c.shape[-1], device=c.device)
    value = _evaluate(c, w, fs)
    singular = value.abs() < 10 * torch.finfo(torch.float64).eps
    ratio = _evaluate(weighted, w, fs) / torch.where(singular, 1.0, value)
    return torch.where(singular, 0.0, ratio.real)


def _complex(t: Tensor) -> torch.dtype:
    return t.dtype if t.is_complex() else torch.complex128 if t.dtype == torch.float64 else torch.complex64


def _check_sos(function: str, sos: Tensor) -> None:
    if sos.ndim < 2 or sos.shape[-1] != 6 or sos.shape[-2] == 0:
        raise ValueError(f"{function}: sos has shape {tuple(sos.shape)}, expected (..., sections, 6)")
