"""Learnable recursive filters that are stable whatever their weights: a cascade of sections, and one direct form.

Their denominators come out of :mod:`feedbackward.design.stable`, whose raw numbers have no forbidden values: an
optimizer walks where it wants and no pole leaves the radius. A section's numerator is a mix of the low, band and high
pass that share its poles (:mod:`feedbackward.design.section`), which trains far better than its coefficients do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn

from ..design.convert import tf2sos
from ..design.cookbook import BUTTERWORTH, peaking
from ..design.section import invert_section, stable_section
from ..design.spacing import space
from ..design.stable import check_max_radius, invert, stable_polynomial, triangle_inverse
from ..filters.lfilter import lfilter
from ..filters.sosfilt import sosfilt
from ._stream import ABSENT, Absent, check_count, check_dtypes, check_signal, design_dtype

_FIRST, _LAST = 5e-3, 0.45  # where the poles of a new cascade start out, in units of the sample rate


class SOSFilter(nn.Module):
    """A learnable cascade of second-order sections, always stable: x (..., T) -> y (..., T).

    A new cascade is the identity: each section mixes its low, band and high pass at a gain of 1, and the sections are
    spread over the frequencies from 0.005 to 0.45 of the sample rate, so that no two learn the same thing.
    :meth:`from_sos` starts from a given filter.

    Args:
        sections: number of sections.
        shape: leading shape of a batch of cascades, which broadcasts against x without its time axis: ``(2,)`` is one
            cascade per channel of x (..., 2, T).
        max_radius: bound of every pole's radius, in (0, 1].
        compute_dtype: run coefficients, state and recursion in this dtype, e.g. ``torch.float64`` for poles near the
            unit circle; signals keep theirs.
        device: of the weights.
        dtype: of the weights, float32 or float64; the default dtype by default.

    Attributes:
        mix: gains of the low, band and high pass of each section, (*shape, sections, 3).
        raw_a: unconstrained weights of the denominators, (*shape, sections, 2).

    Raises:
        ValueError: no sections, or a max_radius outside of (0, 1].
        TypeError: a dtype that filters do not run in.

    Example:
        >>> equalizer = SOSFilter(6)
        >>> x = torch.randn(2, 1000)
        >>> torch.allclose(equalizer(x), x, atol=1e-4)
        True
        >>> y, state = equalizer(x, None)
        >>> state.shape
        torch.Size([2, 6, 2])
    """

    def __init__(
        self,
        sections: int,
        *,
        shape: Sequence[int] = (),
        max_radius: float = 1.0,
        compute_dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_count("SOSFilter", "sections", sections, 1)
        check_dtypes("SOSFilter", dtype, compute_dtype)
        check_max_radius("SOSFilter", max_radius)
        self.sections, self.shape = sections, tuple(shape)
        self.max_radius, self.compute_dtype = max_radius, compute_dtype
        self.mix = nn.Parameter(torch.ones(*self.shape, sections, 3, device=device, dtype=dtype))
        self.raw_a = nn.Parameter(torch.empty(*self.shape, sections, 2, device=device, dtype=dtype))
        start = peaking(space(_FIRST, _LAST, sections, "octave"), BUTTERWORTH, 0.0, sample_rate=1.0)
        with torch.no_grad():
            self.raw_a.copy_(triangle_inverse(start[:, 4:]))

    @classmethod
    def from_sos(
        cls,
        sos: Any,
        *,
        max_radius: float = 1.0,
        compute_dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> SOSFilter:
        """The module of a given cascade; :meth:`to_sos` gives it back to rounding.

        Args:
            sos: rows [b0, b1, b2, a0, a1, a2], (*shape, sections, 6), a0 different from 0: a tensor or an array.
            max_radius: bound of every pole's radius, in (0, 1].
            compute_dtype: as in the class.
            device: of the weights.
            dtype: of the weights; the default dtype by default, whatever that of `sos`.

        Returns:
            A new module.

        Raises:
            ValueError: sos is not (..., sections, 6), or has a pole on or outside of max_radius.

        Example:
            >>> from feedbackward.design import lowpass
            >>> sos = lowpass(1000.0, sample_rate=16000)[None]
            >>> torch.allclose(SOSFilter.from_sos(sos).to_sos(), sos)
            True
        """
        given = torch.as_tensor(sos).detach().to(torch.float64)
        if given.ndim < 2 or given.shape[-1] != 6 or given.shape[-2] == 0:
            raise ValueError(f"SOSFilter.from_sos: sos has shape {tuple(given.shape)}, expected (..., sections, 6)")
        *shape, sections, _ = given.shape
        module = cls(
            sections, shape=shape, max_radius=max_radius, compute_dtype=compute_dtype, device=device, dtype=dtype
        )
        dtype = design_dtype(module.mix, compute_dtype)
        raw, mix = invert_section("SOSFilter.from_sos", given, max_radius, dtype)
        with torch.no_grad():
            module.raw_a.copy_(raw)
            module.mix.copy_(mix)
        return module

    def to_sos(self) -> Tensor:
        """The sections, (*shape, sections, 6) with a0 = 1, differentiable."""
        dtype = design_dtype(self.mix, self.compute_dtype)
        return stable_section(self.raw_a.to(dtype), self.mix.to(dtype), self.max_radius)

    def initial_state(self) -> Tensor:
        """The state of silence, (*shape, sections, 2) zeros, which broadcasts over any batch."""
        dtype = design_dtype(self.mix, self.compute_dtype)
        return self.mix.new_zeros(*self.shape, self.sections, 2, dtype=dtype)

    @overload
    def forward(self, x: Tensor) -> Tensor: ...

    @overload
    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]: ...

    def forward(self, x: Tensor, state: Tensor | Absent | None = ABSENT) -> Tensor | tuple[Tensor, Tensor]:
        """Filter x.

        Args:
            x: signal (..., T).
            state: where the block before left off, (..., sections, 2), or None for silence.

        Returns:
            y (..., T), with the leading shapes of x and of the module broadcast; with a state given, (y, state).
        """
        check_signal("SOSFilter", x)
        if state is ABSENT:
            return sosfilt(self.to_sos(), x, compute_dtype=self.compute_dtype)
        zi = self.initial_state() if state is None else state
        return sosfilt(self.to_sos(), x, zi=zi, compute_dtype=self.compute_dtype)

    def extra_repr(self) -> str:
        """The arguments that made it."""
        return f"{self.sections}{_extra(self)}"


class LFilter(nn.Module):
    """A learnable recursive filter of any order in direct form, always stable: x (..., T) -> y (..., T).

    A new filter is the identity. :meth:`from_ba` starts from a given one. Above order 4 or so the direct form is
    sensitive to rounding: prefer :class:`SOSFilter`, or run it with ``compute_dtype=torch.float64``.

    Args:
        order: of the denominator, at least 0 (0 is an FIR filter).
        numerator_order: of the numerator; `order` by default.
        shape: leading shape of a batch of filters, which broadcasts against x without its time axis.
        max_radius: bound of every pole's radius, in (0, 1].
        compute_dtype: run coefficients, state and recursion in this dtype; signals keep theirs.
        device: of the weights.
        dtype: of the weights, float32 or float64; the default dtype by default.

    Attributes:
        b: numerators, (*shape, numerator_order + 1).
        raw_a: unconstrained weights of the denominators, (*shape, order).

    Raises:
        ValueError: a negative order, or a max_radius outside of (0, 1].
        TypeError: a dtype that filters do not run in.

    Example:
        >>> smoother = LFilter.from_ba([0.1], [1.0, -0.9])
        >>> b, a = smoother.to_ba()
        >>> torch.allclose(b, torch.tensor([0.1])), torch.allclose(a, torch.tensor([1.0, -0.9]))
        (True, True)
        >>> y, state = smoother(torch.ones(3, 100), None)
        >>> y.shape, state.shape
        (torch.Size([3, 100]), torch.Size([3, 1]))
    """

    def __init__(
        self,
        order: int,
        numerator_order: int | None = None,
        *,
        shape: Sequence[int] = (),
        max_radius: float = 1.0,
        compute_dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        numerator_order = order if numerator_order is None else numerator_order
        check_count("LFilter", "order", order, 0)
        check_count("LFilter", "numerator_order", numerator_order, 0)
        check_dtypes("LFilter", dtype, compute_dtype)
        check_max_radius("LFilter", max_radius)
        self.order, self.numerator_order, self.shape = order, numerator_order, tuple(shape)
        self.max_radius, self.compute_dtype = max_radius, compute_dtype
        self.b = nn.Parameter(torch.zeros(*self.shape, numerator_order + 1, device=device, dtype=dtype))
        self.raw_a = nn.Parameter(torch.zeros(*self.shape, order, device=device, dtype=dtype))
        with torch.no_grad():
            self.b[..., 0] = 1

    @classmethod
    def from_ba(
        cls,
        b: Any,
        a: Any,
        *,
        max_radius: float = 1.0,
        compute_dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> LFilter:
        """The module of given coefficients; :meth:`to_ba` gives them back, divided by a0, to rounding.

        Args:
            b: numerator (*shape, nb): a tensor, an array or a list.
            a: denominator (*shape, na), a[..., 0] different from 0. Leading shapes broadcast.
            max_radius: bound of every pole's radius, in (0, 1].
            compute_dtype: as in the class.
            device: of the weights.
            dtype: of the weights; the default dtype by default, whatever that of `b` and `a`.

        Returns:
            A new module.

        Raises:
            ValueError: an empty b or a, or a pole on or outside of max_radius.

        Example:
            >>> LFilter.from_ba([1.0], [2.0, -1.0]).to_ba()[1].detach()
            tensor([ 1.0000, -0.5000])
        """
        wide_b = torch.as_tensor(b, dtype=torch.float64).detach()
        wide_a = torch.as_tensor(a, dtype=torch.float64).detach()
        for name, c in (("b", wide_b), ("a", wide_a)):
            if c.ndim == 0 or c.shape[-1] == 0:
                raise ValueError(f"LFilter.from_ba: {name} has shape {tuple(c.shape)}, expected (..., n), n at least 1")
        shape = torch.broadcast_shapes(wide_b.shape[:-1], wide_a.shape[:-1])
        module = cls(
            wide_a.shape[-1] - 1,
            wide_b.shape[-1] - 1,
            shape=shape,
            max_radius=max_radius,
            compute_dtype=compute_dtype,
            device=device,
            dtype=dtype,
        )
        with torch.no_grad():
            module.b.copy_(wide_b / wide_a[..., :1])
            module.raw_a.copy_(
                invert("LFilter.from_ba", wide_a, max_radius, design_dtype(module.b, module.compute_dtype))
            )
        return module

    def to_ba(self) -> tuple[Tensor, Tensor]:
        """b (*shape, numerator_order + 1) and a (*shape, order + 1) with a0 = 1, differentiable."""
        dtype = design_dtype(self.b, self.compute_dtype)
        return self.b.to(dtype), stable_polynomial(self.raw_a.to(dtype), self.max_radius)

    def to_sos(self) -> Tensor:
        """The same filter as sections, (*shape, sections, 6), found by root finding and not differentiable."""
        return tf2sos(*self.to_ba())

    def initial_state(self) -> Tensor:
        """The state of silence, (*shape, max(order, numerator_order)) zeros, which broadcasts over any batch."""
        dtype = design_dtype(self.b, self.compute_dtype)
        return self.b.new_zeros(*self.shape, max(self.order, self.numerator_order), dtype=dtype)

    @overload
    def forward(self, x: Tensor) -> Tensor: ...

    @overload
    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]: ...

    def forward(self, x: Tensor, state: Tensor | Absent | None = ABSENT) -> Tensor | tuple[Tensor, Tensor]:
        """Filter x.

        Args:
            x: signal (..., T).
            state: where the block before left off, (..., max(order, numerator_order)), or None for silence.

        Returns:
            y (..., T), with the leading shapes of x and of the module broadcast; with a state given, (y, state).
        """
        check_signal("LFilter", x)
        b, a = self.to_ba()
        if state is ABSENT:
            return lfilter(b, a, x, compute_dtype=self.compute_dtype)
        zi = self.initial_state() if state is None else state
        return lfilter(b, a, x, zi=zi, compute_dtype=self.compute_dtype)

    def extra_repr(self) -> str:
        """The arguments that made it."""
        numerator = "" if self.numerator_order == self.order else f", numerator_order={self.numerator_order}"
        return f"{self.order}{numerator}{_extra(self)}"


def _extra(module: SOSFilter | LFilter) -> str:
    shape = f", shape={module.shape}" if module.shape else ""
    radius = f", max_radius={module.max_radius:g}" if module.max_radius != 1 else ""
    dtype = f", compute_dtype={module.compute_dtype}" if module.compute_dtype is not None else ""
    return shape + radius + dtype
