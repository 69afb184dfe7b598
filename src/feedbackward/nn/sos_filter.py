"""A learnable cascade of second-order sections that is stable whatever its weights.

Each section is a pair of poles and a mix of the low, band and high pass that share them, see
:mod:`feedbackward.design.section`: no value of the weights is forbidden, so an optimizer walks where it wants, and a
step means the same at every frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn

from ..design.cookbook import BUTTERWORTH, peaking
from ..design.section import invert_section, stable_section
from ..design.spacing import space
from ..design.stable import triangle_inverse
from ..filters.sosfilt import sosfilt
from ..formulas.arguments import check_max_radius
from ..formulas.section import FIRST, LAST
from ._stream import ABSENT, Absent, check_count, check_dtypes, check_shape, check_signal, design_dtype, extra, wide


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
        self.sections, self.shape = sections, check_shape("SOSFilter", shape)
        self.max_radius, self.compute_dtype = max_radius, compute_dtype
        self.mix = nn.Parameter(torch.ones(*self.shape, sections, 3, device=device, dtype=dtype))
        self.raw_a = nn.Parameter(torch.empty(*self.shape, sections, 2, device=device, dtype=dtype))
        with torch.device("cpu"):  # where numbers are looked at, also if the weights shall have none yet
            start = peaking(space(FIRST, LAST, sections, "octave"), BUTTERWORTH, 0.0, sample_rate=1.0)
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
            TypeError: sos is complex.

        Example:
            >>> from feedbackward.design import lowpass
            >>> sos = lowpass(1000.0, sample_rate=16000)[None]
            >>> torch.allclose(SOSFilter.from_sos(sos).to_sos(), sos)
            True
        """
        given = wide("SOSFilter.from_sos", "sos", sos)
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
        """The sections, (*shape, sections, 6) with a0 = 1, differentiable.

        Where the weights are done and every microsecond counts, take them once and call ``sosfilt`` itself.
        """
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
        return f"{self.sections}{extra(self.shape, self.max_radius, self.compute_dtype)}"
