"""The registry of cases: shapes, broadcast patterns, layouts, hops and the filters to go with them.

Every backend is held against the same registry. A length is awkward where a block, a tile or a segment may end: 0, 1,
2, one less than, exactly and one more than the blocks of 16 to 256 samples that a kernel may use, and primes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

Shape = tuple[int, ...]

DTYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128)
WIDE = {torch.float32: torch.float64, torch.complex64: torch.complex128}
BLOCKS = (16, 32, 64, 128, 256)
LENGTHS = (0, 1, 2, 3, 7, *(block + offset for block in BLOCKS for offset in (-1, 0, 1)), 509, 1021)
LONG_LENGTHS = (2047, 2048, 2049, 4095, 4096, 4097, 10007, 16384, 65535, 65536, 65537, 69997, 70000)
LANES = (1, 2, 3, 5, 15, 16, 17, 63, 64, 65, 100, 130)


@dataclass(frozen=True)
class Broadcast:
    """The leading shapes of every argument of one call."""

    name: str
    b: Shape
    a: Shape
    x: Shape
    zi: Shape

    @property
    def lead(self) -> Shape:
        return tuple(torch.broadcast_shapes(self.b, self.a, self.x, self.zi))


BROADCASTS = (
    Broadcast("nothing", (), (), (), ()),
    Broadcast("one filter, many signals", (), (), (5, 3), (5, 3)),
    Broadcast("one filter, many signals, one state", (), (), (5, 3), ()),
    Broadcast("one signal, many filters", (17,), (17,), (), (17,)),
    Broadcast("a bank", (7,), (7,), (3, 1), (3, 7)),
    Broadcast("a wide bank", (130,), (130,), (2, 1), (130,)),
    Broadcast("a filter per channel", (3,), (3,), (4, 3), (4, 3)),
    Broadcast("a filter per item", (4, 1), (4, 1), (4, 3), (4, 3)),
    Broadcast("a filter per lane", (6, 11), (6, 11), (6, 11), (6, 11)),
    Broadcast("many b", (6,), (), (), ()),
    Broadcast("many a", (), (6,), (), ()),
    Broadcast("many zi", (), (), (), (6,)),
    Broadcast("outer product", (5, 1, 1), (1, 4, 1), (1, 1, 3), (1, 1, 1)),
    Broadcast("crossed", (3, 1), (1, 4), (2, 1, 1), (4,)),
    Broadcast("shared in the middle", (2, 1, 3), (2, 1, 3), (2, 20, 3), (20, 1)),
    Broadcast("more than a tile of shared items", (1, 2), (1, 2), (67, 2), (67, 2)),
    Broadcast("ones", (1, 1), (1,), (1, 1, 1), (1,)),
    Broadcast("empty batch", (3,), (3,), (0, 3), (3,)),
    Broadcast("no filters", (0, 1), (1,), (5,), (5,)),
)


@dataclass(frozen=True)
class Hop:
    """Coefficients that change every ``hop`` samples; ``extra`` frames beyond ceil(steps / hop)."""

    steps: int
    hop: int
    interpolation: str
    extra: int = 0

    @property
    def frames(self) -> int:
        return -(-self.steps // self.hop) + self.extra

    def __str__(self) -> str:
        return f"{self.steps} by {self.hop} {self.interpolation}{'+1' * self.extra}"


HOPS = (
    *(Hop(steps, hop, "hold") for steps in (1, 33, 257) for hop in (1, 7, 64, 1000)),
    *(Hop(steps, hop, "linear", e) for steps in (1, 33, 257) for hop in (1, 7, 64, 1000) for e in (0, 1)),
    *(Hop(256, 64, kind, extra) for kind, extra in (("hold", 0), ("linear", 0), ("linear", 1))),
    *(Hop(300, 128, kind, extra) for kind, extra in (("hold", 0), ("linear", 0), ("linear", 1))),
    *(Hop(2500, 100, kind, extra) for kind, extra in (("hold", 0), ("linear", 0), ("linear", 1))),
)


# A layout turns a shape and a dim into a tensor whose memory is laid out in one particular way.
Layout = Callable[[Shape, int, torch.dtype], Tensor]


def _transposed(shape: Shape, dim: int, dtype: torch.dtype) -> Tensor:
    return torch.randn([shape[i] for i in reversed(range(len(shape)))], dtype=dtype).permute(
        *reversed(range(len(shape)))
    )


def _time_first(shape: Shape, dim: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, dtype=dtype).movedim(dim, 0).contiguous().movedim(0, dim)


def _stepped(shape: Shape, dim: int, dtype: torch.dtype) -> Tensor:
    return torch.randn([3 * n for n in shape], dtype=dtype)[tuple(slice(1, None, 3) for _ in shape)]


def _stepped_lanes(shape: Shape, dim: int, dtype: torch.dtype) -> Tensor:
    steps = [1 if i == dim % len(shape) else 2 for i in range(len(shape))]
    return torch.randn([s * n for s, n in zip(steps, shape, strict=True)], dtype=dtype)[
        tuple(slice(None, None, s) for s in steps)
    ]


def _offset(shape: Shape, dim: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(prod(shape) + 1, dtype=dtype)[1:].view(shape)


def _overlapping(shape: Shape, dim: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(sum(shape) + 1, dtype=dtype).as_strided(shape, [1] * len(shape))


def _expanded_lanes(shape: Shape, dim: int, dtype: torch.dtype) -> Tensor:
    return torch.randn([n if i == dim % len(shape) else 1 for i, n in enumerate(shape)], dtype=dtype).expand(shape)


def _expanded_time(shape: Shape, dim: int, dtype: torch.dtype) -> Tensor:
    return torch.randn([1 if i == dim % len(shape) else n for i, n in enumerate(shape)], dtype=dtype).expand(shape)


def _expanded_all(shape: Shape, dim: int, dtype: torch.dtype) -> Tensor:
    return torch.randn((), dtype=dtype).expand(shape)


def _conjugated(shape: Shape, dim: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(shape, dtype=dtype).conj()


def _negated(shape: Shape, dim: int, dtype: torch.dtype) -> Tensor:
    """A view that carries PyTorch's negative bit: the imaginary part of a conjugate."""
    if dtype.is_complex:
        return torch._neg_view(torch.randn(shape, dtype=dtype))
    return (
        torch.randn(shape, dtype={torch.float32: torch.complex64, torch.float64: torch.complex128}[dtype]).conj().imag
    )


LAYOUTS: dict[str, Layout] = {
    "transposed": _transposed,
    "time first": _time_first,
    "stepped": _stepped,
    "stepped lanes": _stepped_lanes,
    "offset": _offset,
    "overlapping": _overlapping,
    "expanded lanes": _expanded_lanes,
    "expanded time": _expanded_time,
    "expanded": _expanded_all,
    "conjugated": _conjugated,
    "negated": _negated,
}


def insert_time(lead: Shape, steps: int, dim: int) -> Shape:
    """The shape of a signal with the given leading shape and its time axis at ``dim`` < 0."""
    at = len(lead) + 1 + dim
    return (*lead[:at], steps, *lead[at:])


def denominator(
    lead: Shape, na: int, dtype: torch.dtype = torch.float64, radius: float = 0.9, a0: float = 1.0
) -> Tensor:
    """Stable (..., na): poles spread over the circle (a well conditioned polynomial), random in angle and radius."""
    order = na - 1
    rows = np.empty((prod(lead), na), dtype=complex if dtype.is_complex else float)
    spread = (np.arange(order) if dtype.is_complex else np.arange(1, 1 + order // 2) * 0.5) * 2 * np.pi / max(order, 1)
    for row in rows:
        jitter = (torch.rand(2, spread.size, dtype=torch.float64) - 0.5).numpy(force=True)
        poles = radius * (0.85 + 0.3 * jitter[0]) * np.exp(1j * (spread + 0.6 * jitter[1] / max(order, 1)))
        if not dtype.is_complex:
            real = [radius * (torch.rand(()).item() - 0.5)] * (order % 2)
            row[:] = np.real(np.poly([*poles, *poles.conj(), *real])) if order else 1.0
        else:
            row[:] = np.poly(poles) if order else 1.0
    return (a0 * torch.as_tensor(rows)).reshape(*lead, na).to(dtype)


def numerator(lead: Shape, nb: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn((*lead, nb), dtype=dtype)


def sections(lead: Shape, count: int, dtype: torch.dtype = torch.float64, radius: float = 0.9) -> Tensor:
    """Stable second-order sections (..., count, 6) with b of order one."""
    b = 0.6 * torch.randn((*lead, count, 3), dtype=dtype)
    return torch.cat([b, denominator((*lead, count), 3, dtype, radius)], -1)
