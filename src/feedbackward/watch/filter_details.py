"""What a filter does to frequencies: poles, zeros and responses of the filters that are shown, and of all in outline.

H(z) = B(z) / A(z),    poles: the roots of z^n A(z),    zeros: those of z^n B(z)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..design.response import freqz
from .filter_call import FilterCall, spread
from .numerals import difference_equation, listed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .charts import Chart, Plane

_POINTS, _OUTLINES = 240, 64


@dataclass(frozen=True)
class Filter:
    """One filter.

    Attributes:
        place: Which one of the bank.
        b: (sections, order + 1), complex where the coefficients are.
        a: The same, with a_0 = 1.
        poles: Those of all sections, complex.
        zeros: The same.
        decibels: (points,), the magnitude of its response.
        degrees: (points,), its phase, without jumps.
    """

    place: int
    b: Tensor
    a: Tensor
    poles: NDArray[np.complex128]
    zeros: NDArray[np.complex128]
    decibels: NDArray[np.float64]
    degrees: NDArray[np.float64]

    @property
    def radius(self) -> float:
        """That of the outermost pole; the filter is stable below 1."""
        return float(np.abs(self.poles).max()) if len(self.poles) else 0.0

    def equations(self) -> tuple[str, ...]:
        """The difference equation of every section, with its numbers, in LaTeX."""
        many = len(self.b) > 1
        return tuple(
            difference_equation(b.tolist(), a.tolist(), f"_{{{k}}}" if many else "")
            for k, (b, a) in enumerate(zip(self.b, self.a, strict=True))
        )


@dataclass(frozen=True)
class Bank:
    """The filters of a call.

    Attributes:
        filters: Those that are shown in full.
        total: How many there are.
        frequency: (points,) in Hz, or in cycles per sample; of complex filters also the negative ones.
        outlines: (some, points): the magnitudes of filters all over the bank in dB.
        sample_rate: In Hz, or None.
    """

    filters: tuple[Filter, ...]
    total: int
    frequency: NDArray[np.float64]
    outlines: NDArray[np.float64]
    sample_rate: float | None

    def terminal(self) -> Iterator[RenderableType]:
        """Poles and zeros as a table."""
        from .terminal import table_of

        unit = "Hz" if self.sample_rate else "cycles per sample"
        table = table_of("Poles and zeros", "filter", "outermost pole", f"at, in {unit}", "poles", "zeros", "stable")
        for f in self.filters:
            outer = f.poles[np.argmax(np.abs(f.poles))] if len(f.poles) else 0j
            angle = np.angle(outer) if self.is_complex else abs(np.angle(outer))
            at = angle / (2 * math.pi) * (self.sample_rate or 1)
            row = (f.place, f"{f.radius:.6g}", f"{at:.5g}", ", ".join(listed(f.poles)), ", ".join(listed(f.zeros)))
            table.add_row(*map(str, row), "yes" if f.radius < 1 else "no")
        yield table

    def page_data(self) -> dict[str, Any]:
        """The coefficients, for the block diagrams."""
        return {"filters": [{"b": _numbers(f.b), "a": _numbers(f.a)} for f in self.filters]}

    @property
    def is_complex(self) -> bool:
        """Whether the coefficients are complex: then the response to f is not that to -f."""
        return self.filters[0].b.is_complex()

    @property
    def order(self) -> int:
        """That of every section."""
        return self.filters[0].b.shape[-1] - 1

    @property
    def feedback(self) -> bool:
        """Whether any output comes back."""
        return any(bool(f.a[:, 1:].any()) for f in self.filters)

    @property
    def sections(self) -> int:
        """Of every filter."""
        return len(self.filters[0].b)

    def plane(self) -> Plane:
        """Poles and zeros, to be drawn."""
        from .charts import plane

        return plane([(f.poles, f.zeros) for f in self.filters])

    def magnitude(self) -> Chart:
        """Magnitudes, to be drawn."""
        from .charts import chart

        curves = [f.decibels for f in self.filters]
        top = 10 * math.ceil(max(float(np.max(c)) for c in [*curves, *self.outlines]) / 10 + 0.1)
        low = min(float(np.min(c)) for c in curves)
        bottom = max(10 * math.floor(low / 10), top - 80)
        return chart(self.frequency, curves, list(self.outlines), (bottom, top), self.unit, "dB")

    def phase(self) -> Chart:
        """Phases, to be drawn."""
        from .charts import chart

        curves = [f.degrees for f in self.filters]
        ends = [90 * f(e(float(e(c)) for c in curves) / 90) for f, e in ((math.floor, min), (math.ceil, max))]
        bottom, top = ends if ends[0] < ends[1] else (ends[0] - 90, ends[1] + 90)
        return chart(self.frequency, curves, [], (bottom, top), self.unit, "°")

    @property
    def unit(self) -> str:
        """Of the frequencies."""
        return "Hz" if self.sample_rate else "cycles per sample"


def details_of(call: FilterCall) -> Bank:
    """Everything about the filters of a call."""
    return bank_of(call.all_b, call.all_a, call.filters[0], call.sample_rate)


def bank_of(b: Tensor, a: Tensor, places: tuple[int, ...], sample_rate: float | None) -> Bank:
    """The bank of all filters (filters, sections, order + 1), of which those at ``places`` are shown in full."""
    b, a = b.cpu(), a.cpu()
    nyquist = (sample_rate or 1.0) / 2
    last = nyquist * (1 - 1e-6)  # zeros of many designs sit at Nyquist itself, where phase has a jump
    if b.is_complex():
        w = last / _POINTS * torch.arange(-_POINTS, _POINTS + 1, dtype=torch.float64, device="cpu")
    else:
        ends = math.log10(nyquist / 1000), math.log10(nyquist)
        w = torch.logspace(*ends, _POINTS, dtype=torch.float64, device="cpu").clamp(max=last)
    fs = 2 * nyquist
    filters = tuple(_filter(place, b[place], a[place], w, fs) for place in places)
    outlined = spread(len(b), _OUTLINES) if len(b) > 1 else ()
    outlines = [_decibels(_response(*_wide(b[p], a[p]), w, fs)) for p in outlined]
    return Bank(filters, len(b), w.numpy(), np.array(outlines).reshape(-1, len(w)), sample_rate)


def _filter(place: int, b: Tensor, a: Tensor, w: Tensor, fs: float) -> Filter:
    b, a = _wide(b, a)
    h = _response(b, a, w, fs)
    poles, zeros = (np.concatenate([_roots(section) for section in c]) for c in (a, b))
    both = min(int((poles == 0).sum()), int((zeros == 0).sum()))  # a delay in both is none
    poles, zeros = (roots[np.argsort(roots == 0)][: len(roots) - both] for roots in (poles, zeros))
    phase = np.degrees(np.unwrap(np.angle(h)))
    phase -= 360 * np.round(phase[int(torch.argmin(w.abs()))] / 360)  # its turns count from frequency 0
    return Filter(place, b, a, poles, zeros, _decibels(h), phase)


def _wide(b: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """In double precision."""
    wide = torch.complex128 if b.is_complex() else torch.float64
    return b.to(wide), a.to(wide)


def _numbers(c: Tensor) -> Any:
    """(sections, terms) for the page's scripts, where a complex number is an object with both parts."""
    return [[{"re": v.real, "im": v.imag} if isinstance(v, complex) else v for v in section] for section in c.tolist()]


def _roots(c: Tensor) -> NDArray[np.complex128]:
    """The roots in z of c_0 + c_1 z^-1 + ..., times z^n."""
    numbers = c.numpy()
    if not np.isfinite(numbers).all() or not numbers.any():
        return np.zeros(0, np.complex128)
    return np.roots(numbers).astype(np.complex128)


def _response(b: Tensor, a: Tensor, w: Tensor, fs: float) -> NDArray[np.complex128]:
    _, h = freqz(b, a, w, fs=fs)
    return h.prod(0).nan_to_num(0, 0, 0).numpy()  # coefficients that are not finite have no response to draw


def _decibels(h: NDArray[np.complex128]) -> NDArray[np.float64]:
    return 20 * np.log10(np.maximum(np.abs(h), 1e-15))
