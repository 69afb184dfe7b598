"""Numbers as people read them, real and complex: in plain text and in LaTeX.

A complex number is written a+bi, as in 0.25−0.5i. Where it has no imaginary part at all, as a coefficient of a real
filter on a complex signal, the part is left out.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_SAME = 1e-6  # what is closer than this, beside the size of both, is one number


def text(v: complex, digits: int = 4) -> str:
    """A number in plain text.

    Args:
        v: Real or complex.
        digits: How many digits count.

    Returns:
        As in ``"0.25-0.5i"``.

    Example:
        >>> text(0.25 - 0.5j), text(-1.0), text(complex(0, 1))
        ('0.25-0.5i', '-1', '0+1i')
    """
    v = complex(v)
    return f"{v.real:.{digits}g}" + (f"{v.imag:+.{digits}g}i" if v.imag else "")


def latex(v: complex) -> str:
    r"""A factor in LaTeX; nothing for 1, a bracket around two parts.

    Example:
        >>> print(latex(2.5), latex(0.5 - 2j), latex(1.0))
        2.5\, (0.5 - 2\,i)\,
    """
    v = complex(v)
    if not v.imag:
        return "" if v.real == 1 else rf"{_decimal(v.real)}\,"
    if not v.real:
        return rf"{_decimal(v.imag)}\,i\,"
    return rf"({_decimal(v.real)} {'-' if v.imag < 0 else '+'} {_decimal(abs(v.imag))}\,i)\,"


def _decimal(v: float) -> str:
    written = f"{v:.5g}"
    if "e" not in written:
        return written
    mantissa, exponent = written.split("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}"


def difference_equation(b: Iterable[complex], a: Iterable[complex], index: str = "") -> str:
    """A section's equation with its numbers, in LaTeX, with a_0 = 1.

    Args:
        b: b_0, b_1, ...
        a: a_0, a_1, ...
        index: Behind x and y, such as ``"_{2}"``.
    """
    terms = [(v, f"x{index}[n{f'-{i}' if i else ''}]") for i, v in enumerate(b)]
    terms += [(-v, f"y{index}[n-{i}]") for i, v in enumerate(a) if i]
    terms = [(v, name) for v, name in terms if v != 0]
    written = ""
    for k, (v, name) in enumerate(terms[:8]):
        negative = v.real + v.imag < 0 and not v.real * v.imag  # with one part, it is subtracted
        sign = " -" if negative else " +" if k else ""
        written += f"{sign} {latex(-v if negative else v)}{name}"
    more = r" + \cdots" if len(terms) > 8 else ""
    return f"y{index}[n] ={written or ' 0'}{more}"


def listed(roots: NDArray[np.complex128], digits: int = 3, most: int = 4) -> list[str]:
    """Roots in plain text; a conjugate pair is one, with ±. The last says how many more there are.

    Example:
        >>> listed(np.array([0.5 + 0.25j, 0.5 - 0.25j, 2, 1j]))
        ['0.5±0.25i', '2', '0+1i']
    """
    shown, left = [], list(roots)
    while left:
        z = left.pop(0)
        near = _SAME * max(1.0, abs(z))
        if abs(z.imag) < near:
            shown.append(text(z.real, digits))
            continue
        partner = next((k for k, other in enumerate(left) if abs(other - z.conjugate()) < near), None)
        if partner is None:
            shown.append(text(complex(z.real if abs(z.real) >= near else 0, z.imag), digits))
        else:
            del left[partner]
            shown.append(f"{z.real:.{digits}g}±{abs(z.imag):.{digits}g}i")
    return shown[:most] + ([f"{len(shown) - most} more"] if len(shown) > most else [])
