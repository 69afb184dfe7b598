"""A bank of learnable filters, each defined by a center frequency and a bandwidth.

With u and v the raw weights of a filter, m() a frequency scale and s() the logistic sigmoid,

    frequency = m^-1(m(low) + (m(high) - m(low)) s(u)),    bandwidth = narrow (wide / narrow)^s(v)

so every value of the weights is a filter inside of its range, a step of the optimizer moves a center by an amount that
is even on the scale and a bandwidth by a factor, and there is nothing to clip.
"""

from __future__ import annotations

import math
from typing import Any, overload

import torch
from torch import Tensor, nn

from ..design.cookbook import KINDS
from ..design.quality import q_from_bandwidth
from ..design.spacing import bandwidths, space
from ..filters.sosfilt import sosfilt
from ..formulas.bank import Bank
from ._stream import ABSENT, Absent, check_dtypes, check_signal, design_dtype


class FilterBank(nn.Module):
    """N second-order filters over one signal: x (..., T) -> y (..., filters, T), without copying x.

    Each filter has two learnable weights, its center frequency and its bandwidth (of -3 dB; see
    :mod:`feedbackward.design.quality`), and a third, its gain, where the kind has one. The bands start out tiling
    `low` .. `high` evenly on the scale, and the centers stay between `low` and `high`, at least 0.001 Nyquist away from
    0 and Nyquist. Bandwidths stay between 0.0001 and 0.9 Nyquist.

    Args:
        filters: number of filters.
        sample_rate: in Hz.
        kind: "bandpass" (0 dB at the center), or any other of ``design.KINDS``.
        low: lower edge of the first band in Hz, at least 0.
        high: upper edge of the last band in Hz, at most, and by default, sample_rate / 2.
        scale: "mel", "mel_htk", "erb", "bark", "octave" or "linear".
        gain_db: initial gain of "peaking", "lowshelf" and "highshelf".
        compute_dtype: run coefficients, state and recursion in this dtype, e.g. ``torch.float64`` for centers below
            about a thousandth of the sample rate; signals keep theirs.
        device: of the weights.
        dtype: of the weights, float32 or float64; the default dtype by default.

    Attributes:
        raw_frequency: unconstrained weights of the centers, (filters,).
        raw_bandwidth: unconstrained weights of the bandwidths, (filters,).
        gain_db: gains in dB, (filters,), or None for kinds without.

    Raises:
        ValueError: an unknown kind or scale, or a range that does not fit into 0 .. sample_rate / 2.
        TypeError: a dtype that filters do not run in.

    Example:
        >>> bank = FilterBank(4, sample_rate=16000, low=100.0, high=1600.0, scale="octave")
        >>> [round(f) for f in bank.frequency.tolist()]
        [141, 283, 566, 1131]
        >>> y, state = bank(torch.randn(2, 1000), None)
        >>> y.shape, state.shape
        (torch.Size([2, 4, 1000]), torch.Size([2, 4, 1, 2]))
        >>> y, state = bank(torch.randn(2, 1000), state.detach())
    """

    gain_db: nn.Parameter | None

    def __init__(
        self,
        filters: int,
        sample_rate: float,
        kind: str = "bandpass",
        *,
        low: float = 50.0,
        high: float | None = None,
        scale: str = "mel",
        gain_db: float = 0.0,
        compute_dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_dtypes("FilterBank", dtype, compute_dtype)
        with torch.device("cpu"):  # where numbers are looked at, also if the weights shall have none yet
            self._bank = bank = Bank.of(torch, filters, sample_rate, kind, low, high, scale)
            frequency = space(*bank.centers, filters, scale)
            bandwidth = bank.clipped(torch, bandwidths(*bank.centers, filters, scale))
        self.filters, self.sample_rate, self.kind = filters, sample_rate, kind
        self.low, self.high, self.scale, self.compute_dtype = low, bank.high, scale, compute_dtype
        self.raw_frequency = nn.Parameter(torch.empty(filters, device=device, dtype=dtype))
        self.raw_bandwidth = nn.Parameter(torch.empty(filters, device=device, dtype=dtype))
        self.gain_db = nn.Parameter(torch.empty(filters, device=device, dtype=dtype)) if bank.has_gain else None
        self.initialize(frequency, bandwidth, gain_db if bank.has_gain else None)

    @property
    def frequency(self) -> Tensor:
        """Center frequencies in Hz, (filters,), differentiable."""
        return self._bank.frequency(torch, self.raw_frequency)

    @property
    def bandwidth(self) -> Tensor:
        """Bandwidths in Hz, (filters,), differentiable."""
        return self._bank.bandwidth(torch, self.raw_bandwidth)

    @torch.no_grad()
    def initialize(
        self,
        frequency: Tensor | float | None = None,
        bandwidth: Tensor | float | None = None,
        gain_db: Tensor | float | None = None,
    ) -> None:
        """Set the weights in place, from values in Hz and dB that broadcast to (filters,); None leaves them.

        Args:
            frequency: centers, strictly between `low` and `high` and 0.001 Nyquist away from 0 and Nyquist.
            bandwidth: strictly between 0.0001 and 0.9 Nyquist.
            gain_db: gains, for the kinds that have one.

        Raises:
            ValueError: a value out of its range, or a gain for a kind that has none.

        Example:
            >>> bank = FilterBank(2, sample_rate=16000)
            >>> bank.initialize(frequency=torch.tensor([440.0, 880.0]), bandwidth=100.0)
            >>> [round(f) for f in bank.frequency.tolist()], [round(w) for w in bank.bandwidth.tolist()]
            ([440, 880], [100, 100])
        """
        if frequency is not None:
            wanted = self._broadcast("frequency", frequency, *self._bank.centers)
            self.raw_frequency.copy_(self._bank.raw_frequency(torch, wanted))
        if bandwidth is not None:
            wanted = self._broadcast("bandwidth", bandwidth, *self._bank.widths)
            self.raw_bandwidth.copy_(self._bank.raw_bandwidth(torch, wanted))
        if gain_db is not None:
            if self.gain_db is None:
                raise ValueError(f"FilterBank: gain_db is given, expected None: a {self.kind} has no gain")
            self.gain_db.copy_(self._broadcast("gain_db", gain_db, -math.inf, math.inf))

    def to_sos(self) -> Tensor:
        """One section per filter, (filters, 1, 6) with a0 = 1, differentiable: ``sosfilt(sos, x[..., None, :])``."""
        dtype = design_dtype(self.raw_frequency, self.compute_dtype)
        frequency = self._bank.frequency(torch, self.raw_frequency.to(dtype))
        bandwidth = self._bank.bandwidth(torch, self.raw_bandwidth.to(dtype))
        q = q_from_bandwidth(frequency, bandwidth, sample_rate=self.sample_rate)
        gain = () if self.gain_db is None else (self.gain_db.to(dtype),)
        return KINDS[self.kind](frequency, q, *gain, sample_rate=self.sample_rate).unsqueeze(-2)

    def initial_state(self) -> Tensor:
        """The state of silence, (filters, 1, 2) zeros, which broadcasts over any batch."""
        weight = self.raw_frequency
        return weight.new_zeros(self.filters, 1, 2, dtype=design_dtype(weight, self.compute_dtype))

    @overload
    def forward(self, x: Tensor) -> Tensor: ...

    @overload
    def forward(self, x: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]: ...

    def forward(self, x: Tensor, state: Tensor | Absent | None = ABSENT) -> Tensor | tuple[Tensor, Tensor]:
        """Filter x.

        Args:
            x: signal (..., T).
            state: where the block before left off, (..., filters, 1, 2), or None for silence.

        Returns:
            y (..., filters, T); with a state given, (y, state).
        """
        check_signal("FilterBank", x)
        if state is ABSENT:
            return sosfilt(self.to_sos(), x.unsqueeze(-2), compute_dtype=self.compute_dtype)
        zi = self.initial_state() if state is None else state
        return sosfilt(self.to_sos(), x.unsqueeze(-2), zi=zi, compute_dtype=self.compute_dtype)

    def extra_repr(self) -> str:
        """The arguments that made it."""
        extra = "" if self.compute_dtype is None else f", compute_dtype={self.compute_dtype}"
        return (
            f"{self.filters}, sample_rate={self.sample_rate:g}, kind={self.kind!r}, low={self.low:g}, "
            f"high={self.high:g}, scale={self.scale!r}{extra}"
        )

    def _broadcast(self, name: str, value: Any, low: float, high: float) -> Tensor:
        wanted = torch.as_tensor(value, dtype=torch.float64, device="cpu")
        if wanted.ndim > 1 or wanted.numel() not in (1, self.filters):
            raise ValueError(f"FilterBank: {name} has shape {tuple(wanted.shape)}, expected () or ({self.filters},)")
        outside = ~((wanted > low) & (wanted < high))
        if outside.any():
            raise ValueError(
                f"FilterBank: {name} holds {wanted[outside][0].item():g}, expected values between {low:g} and {high:g}"
            )
        return wanted.expand(self.filters)
