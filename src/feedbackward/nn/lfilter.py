"""A learnable recursive filter of any order, in direct form, that is stable whatever its weights.

    b is free,    a = stable_polynomial(raw_a, max_radius)

The denominator comes out of reflection coefficients, see :mod:`feedbackward.design.stable`: no value of the weights is
forbidden, so an optimizer walks where it wants and no pole leaves the radius.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn

from ..design.convert import tf2sos
from ..design.stable import invert, stable_polynomial
from ..filters.lfilter import lfilter
from ..formulas.arguments import check_max_radius
from ._stream import ABSENT, Absent, check_count, check_dtypes, check_shape, check_signal, design_dtype, extra, wide


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
        self.order, self.numerator_order, self.shape = order, numerator_order, check_shape("LFilter", shape)
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
            TypeError: b or a is complex.

        Example:
            >>> LFilter.from_ba([1.0], [2.0, -1.0]).to_ba()[1].detach()
            tensor([ 1.0000, -0.5000])
        """
        wide_b, wide_a = wide("LFilter.from_ba", "b", b), wide("LFilter.from_ba", "a", a)
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
        return f"{self.order}{numerator}{extra(self.shape, self.max_radius, self.compute_dtype)}"
