"""A second-order section from its poles and a mix: always stable, whatever the weights.

With k = tanh(raw), held `limit` away from 0 at most, and a radius r,

    a_1 = r k_1 (1 + k_2),    a_2 = r^2 k_2
    b(z) = m_low low (1 + z^-1)^2 + m_band band (1 - z^-2) + m_high high (1 - z^-1)^2,    b_i <- b_i r^i

    low = (1 + k_1) (1 + k_2) / 4,    band = (1 - k_2) / 2,    high = (1 - k_1) (1 + k_2) / 4

Why, and the sources, are in :mod:`feedbackward.design.section` and :mod:`feedbackward.design.stable`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_MARGIN = 8  # units of rounding between the largest reflection coefficient and 1
_WITHIN = 1 - 2.0**-20  # of a radius below 1: room for the rounding of float32 coefficients

FIRST, LAST = 5e-3, 0.45  # where the poles of a new cascade start out, in units of the sample rate


def inside(eps: float) -> float:
    """The largest reflection coefficient in a dtype whose unit of rounding at 1 is eps."""
    return 1 - _MARGIN * eps


def within(max_radius: float) -> float:
    """The factor that keeps poles strictly inside of the radius when the scaled coefficients are rounded."""
    return max_radius if max_radius == 1 else max_radius * _WITHIN


def second_order(k_1: Any, k_2: Any) -> tuple[Any, Any]:
    """(a_1, a_2) of reflection coefficients: k_1 + k_2 k_1 without its cancellation, so never outside of the circle."""
    return k_1 * (1 + k_2), k_2


def reflections(a_1: Any, a_2: Any) -> tuple[Any, Any]:
    """(k_1, k_2) from a_0 = 1, a_1, a_2: (a_1 - a_2 a_1) / (1 - a_2^2) without its cancellation."""
    return a_1 / (1 + a_2), a_2


def section(xp: Any, raw: Any, mix: Any, limit: float, radius: float) -> tuple[tuple[Any, Any, Any], tuple[Any, Any]]:
    """The coefficients (b_0, b_1, b_2) and (a_1, a_2), a_0 = 1, of raw (..., 2) and mix (..., 3).

    `limit` is that of :func:`inside`, `radius` that of :func:`within`.
    """
    k = xp.clip(xp.tanh(raw), -limit, limit)
    plus = xp.clip(2 * xp.sigmoid(2 * raw), 1 - limit, 2)  # 1 + tanh(raw), precise where tanh is near -1
    minus = xp.clip(2 * xp.sigmoid(-2 * raw), 1 - limit, 2)
    low = mix[..., 0] * plus[..., 0] * plus[..., 1] / 4
    band = mix[..., 1] * minus[..., 1] / 2
    high = mix[..., 2] * minus[..., 0] * plus[..., 1] / 4
    b_0, b_1, b_2 = scaled([low + band + high, 2 * (low - high), low - band + high], radius)
    _, a_1, a_2 = scaled([None, *second_order(k[..., 0], k[..., 1])], radius)
    return (b_0, b_1, b_2), (a_1, a_2)


def mix(xp: Any, raw: Any, b: Sequence[Any]) -> Any:
    """The gains (..., 3) of the low, band and high pass of poles `raw` (..., 2) that make the numerator `b`.

    `b` is (b_0, b_1, b_2), divided by a_0 and scaled by 1 / radius.
    """
    b_0, b_1, b_2 = b
    plus, minus = 2 * xp.sigmoid(2 * raw), 2 * xp.sigmoid(-2 * raw)
    low = (b_0 + b_1 + b_2) / (plus[..., 0] * plus[..., 1])
    band = (b_0 - b_2) / minus[..., 1]
    high = (b_0 - b_1 + b_2) / (minus[..., 0] * plus[..., 1])
    return xp.stack([low, band, high], -1)


def scaled(coefficients: Sequence[Any], factor: float) -> list[Any]:
    """c_i factor^i, which scales every zero of the polynomial by the factor."""
    return [c if i == 0 or factor == 1 else c * factor**i for i, c in enumerate(coefficients)]
