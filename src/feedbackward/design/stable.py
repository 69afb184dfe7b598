"""Denominators that cannot be unstable: any real numbers in, all poles inside the unit circle out.

A polynomial A(z) = 1 + a_1 z^-1 + ... + a_n z^-n has all of its zeros inside the unit circle exactly when its n
reflection coefficients k_1 .. k_n lie in (-1, 1). The step-up recursion turns one into the other,

    A^(0) = 1,    A^(m)(z) = A^(m-1)(z) + k_m z^-m A^(m-1)(1/z),    m = 1 .. n

and the step-down recursion undoes it, with k_m the last coefficient of A^(m). Scaling a_i by r^i scales every pole by
r. So, for raw numbers u_1 .. u_n of any size,

    k_m = tanh(u_m),    a = step_up(k),    a_i <- a_i r^i

is a smooth bijection between R^n and the filters whose poles lie inside radius r. In floating point tanh reaches 1,
and a pole would reach the circle with it: k is held a few units of rounding away from 1.

Order 2 is the stability triangle: a_2 = k_2 and a_1 = k_1 (1 + k_2) cover |a_2| < 1, |a_1| < 1 + a_2, without the
corner that a parametrization by |a_1| has. There, rounding of the coefficients never moves a pole out of the radius.
At higher orders the statement is about exact coefficients: n poles that meet in a point move by rounding^(1/n), in any
parametrization of the direct form. Filters with poles close to the circle belong into second-order sections.

Sources: J. Markel and A. Gray, "Linear Prediction of Speech" (1976), chapter 5; S. Kay, "Modern Spectral Estimation"
(1988), chapter 6 (step-up and step-down).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..filters.arguments import readable
from ..formulas.arguments import check_max_radius
from ..formulas.section import inside, reflections, second_order, within


def reflection_to_polynomial(k: Tensor) -> Tensor:
    """Step-up: the polynomial with the given reflection coefficients.

    Args:
        k: reflection coefficients (..., n), real or complex; inside of (-1, 1) for a stable filter.

    Returns:
        Coefficients (..., n + 1), the first of them 1.

    Example:
        >>> reflection_to_polynomial(torch.tensor([-0.5, 0.5]))
        tensor([ 1.0000, -0.7500,  0.5000])
    """
    a = k.new_ones(*k.shape[:-1], 1)
    zero = torch.zeros_like(a)
    for m in range(k.shape[-1]):
        k_m = k[..., m : m + 1]
        if m == 1 and not k.is_complex():
            a = torch.cat([a[..., :1], *second_order(a[..., 1:], k_m)], dim=-1)
        else:
            a = torch.cat([a, zero], dim=-1)
            a = a + k_m * a.flip(-1).conj()
    return a


def polynomial_to_reflection(a: Tensor) -> Tensor:
    """Step-down: the reflection coefficients of a polynomial, the inverse of :func:`reflection_to_polynomial`.

    Args:
        a: coefficients (..., n + 1), a[..., 0] not zero; normalized by it.

    Returns:
        Reflection coefficients (..., n). All of them are smaller than 1 in magnitude exactly when all poles are
        inside the unit circle; where one equals 1, those of lower order are not finite.

    Example:
        >>> polynomial_to_reflection(torch.tensor([2.0, -1.5, 1.0]))
        tensor([-0.5000,  0.5000])
    """
    a = a / a[..., :1]
    found: list[Tensor] = []
    while a.shape[-1] > 1:
        k = a[..., -1:]
        found.insert(0, k)
        if a.shape[-1] == 3 and not a.is_complex():
            a = torch.cat([a[..., :1], reflections(a[..., 1:2], k)[0]], dim=-1)
        else:
            a = (a - k * a.flip(-1).conj())[..., :-1] / (1 - k * k.conj())
    return torch.cat(found, dim=-1) if found else a[..., :0]


def stable_polynomial(raw: Tensor, max_radius: float = 1.0) -> Tensor:
    """A denominator of any order whose poles lie strictly inside `max_radius`, from unconstrained numbers.

    Args:
        raw: (..., n), any real values, float32 or float64; zero gives the polynomial 1.
        max_radius: bound of the pole radius, in (0, 1].

    Returns:
        Coefficients (..., n + 1), the first of them 1, differentiable of any order.

    Raises:
        ValueError: a max_radius outside of (0, 1].

    Example:
        >>> a = stable_polynomial(torch.tensor([-50.0, 50.0]), max_radius=0.5)
        >>> bool(a[2] < 0.25)
        True
    """
    check_max_radius("stable_polynomial", max_radius)
    limit = inside(torch.finfo(raw.dtype).eps)
    return scale(reflection_to_polynomial(torch.tanh(raw).clamp(-limit, limit)), within(max_radius))


def stable_polynomial_inverse(a: Tensor, max_radius: float = 1.0) -> Tensor:
    """The raw numbers of a stable denominator: the inverse of :func:`stable_polynomial`.

    Args:
        a: coefficients (..., n + 1), a[..., 0] not zero, all poles strictly inside `max_radius`.
        max_radius: bound of the pole radius, in (0, 1].

    Returns:
        Raw numbers (..., n).

    Raises:
        ValueError: a pole on or outside of `max_radius` (or within a few units of rounding of it), where the values
            can be read (see :mod:`feedbackward.design.cookbook`), or a max_radius outside of (0, 1].

    Example:
        >>> a = torch.tensor([1.0, -1.8, 0.9])
        >>> torch.allclose(stable_polynomial(stable_polynomial_inverse(a)), a)
        True
    """
    return invert("stable_polynomial_inverse", a, max_radius, a.dtype).to(a.dtype)


def triangle(raw: Tensor, max_radius: float = 1.0) -> Tensor:
    """The pair (a1, a2) of a second-order section anywhere in the stability triangle, from two unconstrained numbers.

    With k = tanh(raw) and r = max_radius: a2 = r^2 k_2, a1 = r k_1 (1 + k_2).

    Args:
        raw: (..., 2), any real values.
        max_radius: bound of the pole radius, in (0, 1].

    Returns:
        (a1, a2) of shape (..., 2), strictly inside the triangle |a2| < r^2, |a1| < r + a2 / r.

    Raises:
        ValueError: raw does not end in an axis of 2, or a max_radius outside of (0, 1].

    Example:
        >>> triangle(torch.zeros(2))
        tensor([0., 0.])
    """
    if raw.shape[-1:] != (2,):
        raise ValueError(f"triangle: raw has shape {tuple(raw.shape)}, expected (..., 2)")
    return stable_polynomial(raw, max_radius)[..., 1:]


def triangle_inverse(a: Tensor, max_radius: float = 1.0) -> Tensor:
    """The raw numbers of a pair (a1, a2) inside the triangle: the inverse of :func:`triangle`.

    Args:
        a: (a1, a2) of a section with a0 = 1, (..., 2).
        max_radius: bound of the pole radius, in (0, 1].

    Returns:
        Raw numbers (..., 2).

    Raises:
        ValueError: a pole on or outside of `max_radius`, or a does not end in an axis of 2.

    Example:
        >>> torch.allclose(triangle(triangle_inverse(torch.tensor([-1.8, 0.9]))), torch.tensor([-1.8, 0.9]))
        True
    """
    if a.shape[-1:] != (2,):
        raise ValueError(f"triangle_inverse: a has shape {tuple(a.shape)}, expected (..., 2)")
    monic = torch.cat([torch.ones_like(a[..., :1]), a], dim=-1)
    return invert("triangle_inverse", monic, max_radius, a.dtype).to(a.dtype)


def invert(function: str, a: Tensor, max_radius: float, dtype: torch.dtype) -> Tensor:
    """Raw numbers, in float64, that :func:`stable_polynomial` turns back into `a` when it runs in `dtype`."""
    check_max_radius(function, max_radius)
    k = polynomial_to_reflection(scale(a.to(torch.float64), 1 / within(max_radius)))
    if readable(k, waiting=True) and not (k.abs() <= inside(torch.finfo(dtype).eps)).all():
        raise ValueError(
            f"{function}: a has a pole on or outside of max_radius = {max_radius:g}, or within rounding of it, "
            "expected all poles inside"
        )
    return torch.atanh(k)


def scale(a: Tensor, factor: float) -> Tensor:
    """Scale every zero of the polynomial by a factor: a_i <- a_i factor^i."""
    return a if factor == 1 else a * a.new_tensor([factor**i for i in range(a.shape[-1])])
