"""Between the two ways to write a filter: one pair of polynomials (b, a), and a cascade of second-order sections.

    b(z) / a(z) = product over k of (b0_k + b1_k z^-1 + b2_k z^-2) / (a0_k + a1_k z^-1 + a2_k z^-2)

Pairing of zeros with poles follows the rule that scipy documents: poles nearest to the unit circle first, each pair of
poles taking the pair of zeros nearest to it, so that no section has a large gain on its own.

Source: L. Jackson, "Digital Filters and Signal Processing", chapter 11 (ordering and pairing in cascade form).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ._operands import promote


def sos2tf(sos: Any) -> tuple[Tensor, Tensor]:
    """Multiply the sections out: (b, a) of the whole cascade, differentiable.

    Args:
        sos: (..., sections, 6), float32 or float64.

    Returns:
        b and a, (..., 2 sections + 1) each.

    Raises:
        ValueError: sos is not (..., sections, 6).

    Example:
        >>> b, a = sos2tf(torch.tensor([[1.0, 1.0, 0.0, 1.0, -0.5, 0.0], [1.0, -1.0, 0.0, 1.0, 0.5, 0.0]]))
        >>> b.tolist(), a.tolist()
        ([1.0, 0.0, -1.0, 0.0, 0.0], [1.0, 0.0, -0.25, 0.0, 0.0])
    """
    (sos,) = promote("sos2tf", sos=sos)
    if sos.ndim < 2 or sos.shape[-1] != 6 or sos.shape[-2] == 0:
        raise ValueError(f"sos2tf: sos has shape {tuple(sos.shape)}, expected (..., sections, 6)")
    b, *more_b = sos[..., :3].unbind(-2)
    a, *more_a = sos[..., 3:].unbind(-2)
    for factor_b, factor_a in zip(more_b, more_a, strict=True):
        b, a = _multiply(b, factor_b), _multiply(a, factor_a)
    return b, a


def tf2sos(b: Any, a: Any) -> Tensor:
    """Factor (b, a) into second-order sections, not differentiable (roots are found in float64).

    Args:
        b: numerator (..., nb), b[..., 0] not zero.
        a: denominator (..., na), a[..., 0] not zero. Leading shapes broadcast.

    Returns:
        Sections (..., sections, 6) with a0 = 1, of the promoted dtype; sections = ceil((max(nb, na) - 1) / 2), at
        least 1. The first section carries the gain.

    Raises:
        ValueError: a leading zero in b or a.

    Example:
        >>> sos = tf2sos([1.0, 0.0, 0.0], [1.0, -0.5, 0.25])
        >>> sos.shape
        torch.Size([1, 6])
        >>> torch.allclose(sos[0, 3:], torch.tensor([1.0, -0.5, 0.25]))
        True
    """
    b, a = promote("tf2sos", b=b, a=a)
    for name, c in (("b", b), ("a", a)):
        if c.ndim == 0 or c.shape[-1] == 0 or (c[..., 0] == 0).any():
            raise ValueError(f"tf2sos: {name} starts with a zero or is empty, expected {name}[..., 0] different from 0")
    sections = max(1, math.ceil((max(b.shape[-1], a.shape[-1]) - 1) / 2))
    shape = torch.broadcast_shapes(b.shape[:-1], a.shape[:-1])
    flat_b = b.detach().double().cpu().expand(*shape, -1).reshape(-1, b.shape[-1])
    flat_a = a.detach().double().cpu().expand(*shape, -1).reshape(-1, a.shape[-1])
    rows = [_factor(one_b, one_a, sections) for one_b, one_a in zip(flat_b, flat_a, strict=True)]
    return torch.stack(rows).reshape(*shape, sections, 6).to(b)


def _factor(b: Tensor, a: Tensor, sections: int) -> Tensor:
    """One filter, on the CPU, where its roots are sorted: (sections, 6)."""
    poles, zeros = _pairs(_roots(a), sections), _pairs(_roots(b), sections)
    poles.sort(key=lambda pair: abs(1 - max(abs(root) for root in pair)))
    rows: list[list[float]] = []
    for pole in poles:
        nearest = min(zeros, key=lambda zero: sum(abs(p - z) for p, z in zip(pole, zero, strict=True)))
        zeros.remove(nearest)
        rows.insert(0, [*_quadratic(nearest), *_quadratic(pole)])
    sos = torch.tensor(rows, dtype=torch.float64, device="cpu")
    sos[0, :3] *= b[0] / a[0]
    return sos


def _roots(c: Tensor) -> list[complex]:
    order = len(c) - 1
    if order == 0:
        return []
    companion = torch.diag(torch.ones(order - 1, dtype=c.dtype, device="cpu"), -1)
    companion[0] = -c[1:] / c[0]
    roots: list[complex] = torch.linalg.eigvals(companion).tolist()
    return roots


def _pairs(roots: list[complex], count: int) -> list[tuple[complex, complex]]:
    """Conjugates together, real roots with their neighbor in magnitude, zeros filling up to `count` pairs."""
    pairs = [(root, root.conjugate()) for root in roots if root.imag > 0]
    real = sorted((root.real for root in roots if root.imag == 0), key=abs)
    real = [0.0] * (2 * (count - len(pairs)) - len(real)) + real
    return pairs + [(complex(first), complex(second)) for first, second in zip(real[::2], real[1::2], strict=True)]


def _quadratic(pair: tuple[complex, complex]) -> list[float]:
    return [1.0, -(pair[0] + pair[1]).real, (pair[0] * pair[1]).real]


def _multiply(p: Tensor, q: Tensor) -> Tensor:
    """Product of polynomials (..., n) and (..., 3): (..., n + 2)."""
    pad = torch.nn.functional.pad
    return sum((pad(p * q[..., i : i + 1], (i, 2 - i)) for i in range(1, 3)), pad(p * q[..., :1], (0, 2)))
