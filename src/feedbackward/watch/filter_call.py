"""A call of a filter, whoever made it: `lfilter`, `sosfilt`, or one of the modules of fb.nn.

Each becomes a `FilterCall`: sections of one order with a_0 = 1, a signal with time last, and what the call returned.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ..filters.arguments import unify
from ..filters.lfilter import lfilter
from ..filters.sosfilt import sosfilt
from ..nn import FilterBank, LFilter, SOSFilter
from .call import as_real, bound
from .model import Limits, Weight

MODULES = (FilterBank, LFilter, SOSFilter)
FUNCTIONS: tuple[Callable[..., Any], ...] = (lfilter, sosfilt)


@dataclass(frozen=True)
class FilterCall:
    """A call of a filter, cut down to the lanes that are shown.

    Attributes:
        title: What was called.
        weights: The coefficients as the user has them.
        b, a: (lanes, frames, sections, order + 1) with a_0 = 1, in the dtype of the computation.
        x: (lanes, T), in the dtype of the signal; real where the signal is, though coefficients may be complex.
        state: (lanes, sections, order), before the first sample.
        y: (lanes, T), what the call returned.
        hop: Samples per frame; None where coefficients are constant.
        linear: Whether they are interpolated.
        filters: Which filters of how many are shown.
        signals: Which signals of how many; a lane is a filter and a signal.
        all_b, all_a: (filters, sections, order + 1): the first frame of all filters; complex where either is given so,
            and real where only the signal or the state is complex.
        sample_rate: In Hz, or None.
        scale: Whether a_0 was another number than 1.

    Of a complex call, b, a, state and y are complex.
    """

    title: str
    weights: tuple[Weight, ...]
    b: Tensor
    a: Tensor
    x: Tensor
    state: Tensor
    y: Tensor
    hop: int | None
    linear: bool
    filters: tuple[tuple[int, ...], int]
    signals: tuple[tuple[int, ...], int]
    all_b: Tensor
    all_a: Tensor
    sample_rate: float | None
    scale: bool


def of_module(module: nn.Module, args: Any, kwargs: Any, limits: Limits, rate: float | None) -> FilterCall:
    """The call of a filter module."""
    title = f"fb.nn.{' '.join(repr(module).split())}"
    given = bound(module.forward, args, kwargs, title)
    found = module(**given)
    y = found[0] if isinstance(found, tuple) else found
    x, state = given["x"], given.get("state")
    state = state if isinstance(state, Tensor) else None
    weights = [
        Weight(name, _axes_of(module, name, weight), "what is learned", weight.detach())
        for name, weight in module.named_parameters()
    ]
    dtype: Any = module.compute_dtype
    if isinstance(module, LFilter):
        b, a = module.to_ba()
        weights += [_coefficients("b", b), _coefficients("a", a)]
        b, a = _sections(b, a)
        state = None if state is None else state.unsqueeze(-2)
    else:
        sos = module.to_sos()  # type: ignore[operator]
        weights.append(_coefficients("sos", sos))
        b, a = sos[..., :3], sos[..., 3:]
        x = x.unsqueeze(-2) if isinstance(module, FilterBank) else x
    rate = rate if rate is not None else getattr(module, "sample_rate", None)
    return _lanes(title, weights, b.unsqueeze(-3), a.unsqueeze(-3), x, state, y, None, False, dtype, limits, rate)


def of_function(function: Callable[..., Any], args: Any, kwargs: Any, limits: Limits, rate: float | None) -> FilterCall:
    """The call of `lfilter` or `sosfilt`."""
    is_sos = function is sosfilt
    title = "fb.sosfilt" if is_sos else "fb.lfilter"
    given = bound(function, args, kwargs, title)
    found = function(**given)
    y = found[0] if isinstance(found, tuple) else found
    dim, hop, zi = given.get("dim", -1), given.get("hop"), given.get("zi")
    x = given["x"]
    dim = dim - x.ndim if dim >= 0 else dim
    if is_sos:
        weights = [_coefficients("sos", given["sos"])]
        b, a = given["sos"][..., :3], given["sos"][..., 3:]
    else:
        weights = [_coefficients("b", given["b"]), _coefficients("a", given["a"])]
        b, a = _sections(given["b"], given["a"])
        zi = None if zi is None else zi.unsqueeze(-2)
    if hop is None:
        b, a = b.unsqueeze(-3), a.unsqueeze(-3)
    linear = given.get("interpolation") == "linear"
    x, y = x.movedim(dim, -1), y.movedim(dim, -1)
    return _lanes(title, weights, b, a, x, zi, y, hop, linear, given.get("compute_dtype"), limits, rate)


def _sections(b: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """One section of the larger order."""
    taps = max(b.shape[-1], a.shape[-1])
    return tuple(pad(c, (0, taps - c.shape[-1])).unsqueeze(-2) for c in (b, a))  # type: ignore[return-value]


def _coefficients(name: str, values: Tensor) -> Weight:
    lead = tuple("filters" for _ in values.shape[: -2 if name == "sos" else -1])
    axes = (*lead, "sections", "b0 b1 b2 a0 a1 a2") if name == "sos" else (*lead, f"{name}0 {name}1 ...")
    roles = {"sos": "the sections", "b": "the numerator: what multiplies x", "a": "the denominator: what multiplies y"}
    return Weight(name, axes, roles[name], values.detach())


def _axes_of(module: nn.Module, name: str, weight: Tensor) -> tuple[str, ...]:
    last = {"mix": ("sections", "low, band, high"), "raw_a": ("sections", "2")}.get(name, ("filters",))
    if isinstance(module, LFilter):
        last = ("coefficients",)
    return (*("filters" for _ in weight.shape[: -len(last)]), *last)


def _lanes(
    title: str,
    weights: list[Weight],
    b: Tensor,  # (..., frames, sections, terms)
    a: Tensor,
    x: Tensor,  # (..., T)
    zi: Tensor | None,  # (..., sections, order)
    y: Tensor,  # (..., T)
    hop: int | None,
    linear: bool,
    compute_dtype: torch.dtype | None,
    limits: Limits,
    rate: float | None,
) -> FilterCall:
    """What was given, cut down to the lanes that are shown: some filters of a bank, some signals of a batch."""
    if rate is not None and not 0 < rate < math.inf:
        raise ValueError(f"explain: sample_rate is {rate!r}, expected a positive number in Hz")
    if not y.numel():
        raise ValueError(f"explain: the filtered signal has shape {tuple(y.shape)}, expected at least one sample")
    is_real, real_signal = not (b.is_complex() or a.is_complex()), not x.is_complex()
    x, (b, a, zi) = unify("explain", x.detach(), [b.detach(), a.detach(), zi], compute_dtype)
    x = as_real(x) if real_signal else x
    scale = bool((a[..., :1] != 1).any())
    b, a = b / a[..., :1], a / a[..., :1]
    frames = max(b.shape[-3], a.shape[-3])
    b, a = (c.expand(*c.shape[:-3], frames, *c.shape[-2:]) for c in (b, a))
    order, sections = b.shape[-1] - 1, b.shape[-2]
    lead = torch.broadcast_shapes(b.shape[:-3], a.shape[:-3])
    lanes = y.shape[:-1]
    own = [size > 1 for size in (*(1,) * (len(lanes) - len(lead)), *lead)]
    count = math.prod(n for n, mine in zip(lanes, own, strict=True) if mine)
    rest = math.prod(lanes) // count
    filters = spread(count, limits.filters)
    signals = tuple(range(min(rest, limits.elements)))
    index = tuple(
        torch.tensor(column, device=x.device) for column in zip(*_places(lanes, own, filters, signals), strict=True)
    )

    def taken(t: Tensor, axes: int) -> Tensor:
        whole = t.expand(*lanes, *t.shape[t.ndim - axes :])
        return whole[index] if index else whole.unsqueeze(0)

    first = (as_real(c) if is_real else c for c in (b, a))
    everything = [c[..., 0, :, :].expand(*lead, sections, order + 1).reshape(-1, sections, order + 1) for c in first]
    state = x.new_zeros(sections, order, dtype=b.dtype) if zi is None else zi
    return FilterCall(
        title,
        tuple(weights),
        taken(b, 3),
        taken(a, 3),
        taken(x, 1),
        taken(state, 2),
        taken(y.detach(), 1),
        hop,
        linear,
        (filters, count),
        (signals, rest),
        everything[0],
        everything[1],
        rate,
        scale,
    )


def spread(count: int, most: int) -> tuple[int, ...]:
    """All places, or as many as are wanted, evenly spread."""
    if count <= most:
        return tuple(range(count))
    return tuple(dict.fromkeys(torch.linspace(0, count - 1, most, device="cpu").round().int().tolist()))


def _places(lanes: torch.Size, own: list[bool], filters: tuple[int, ...], signals: tuple[int, ...]) -> list[list[int]]:
    """The lane of every filter and signal that is shown."""
    found = []
    for f in filters:
        for s in signals:
            place, rest = [0] * len(lanes), {True: f, False: s}
            for axis in reversed(range(len(lanes))):
                rest[own[axis]], place[axis] = divmod(rest[own[axis]], lanes[axis])
            found.append(place)
    return found
