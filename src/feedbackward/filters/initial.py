"""States to start a filter from: its steady state, or the state that given past samples leave behind."""

from __future__ import annotations

import torch
from torch import Tensor

from .arguments import check_broadcast, check_leading_coefficient, readable, tensors_of, unify


def lfilter_zi(b: Tensor, a: Tensor) -> Tensor:
    """The state in which a filter answers a constant input of 1 with its constant steady output.

    With G = sum(b) / sum(a) the output, the states of the transposed direct form II stand still where::

        zi[i] = sum_{j > i} (b[j] - a[j] G),    i = 0 .. n-1,    b and a divided by a[0]

    ``lfilter(b, a, x, zi=lfilter_zi(b, a) * x[..., :1])`` starts without a transient.

    Args:
        b: Numerator, (..., nb).
        a: Denominator, (..., na); leading shapes broadcast.

    Returns:
        zi, (..., max(nb, na) - 1), in the promoted dtype.

    Raises:
        TypeError: An argument is not a tensor, or not of a known dtype.
        ValueError: Shapes do not fit, a[0] is 0, or sum(a) is 0: there is a pole at 1 and no steady state.

    Example:
        >>> import torch, feedbackward as fb
        >>> fb.lfilter_zi(torch.tensor([0.5]), torch.tensor([1.0, -0.5]))
        tensor([0.5000])

    Source:
        The fixed point of the recurrence in `lfilter`; scipy.signal.lfilter_zi solves the same equations.
    """
    return steady_state("lfilter_zi", b, a)


def sosfilt_zi(sos: Tensor) -> Tensor:
    """The states in which a cascade of biquads answers a constant input of 1 with its constant steady output.

    Section k is driven by the steady output of those before it, the product of their gains at frequency 0.

    Args:
        sos: Sections, (..., sections, 6).

    Returns:
        zi, (..., sections, 2).

    Raises:
        TypeError: sos is not a tensor, or not of a known dtype.
        ValueError: The shape does not fit, an a0 is 0, or a section has a pole at 1.

    Example:
        >>> import torch, feedbackward as fb
        >>> fb.sosfilt_zi(torch.tensor([[0.5, 0.0, 0.0, 1.0, -0.5, 0.0]]))
        tensor([[0.5000, 0.0000]])

    Source:
        As `lfilter_zi`, section by section.
    """
    return steady_states("sosfilt_zi", sos)


def lfiltic(b: Tensor, a: Tensor, y: Tensor, x: Tensor | None = None) -> Tensor:
    """The state that past outputs and inputs leave behind.

    With b and a divided by a[0]::

        zi[i] = sum_{j > i} (b[j] x[j-i-1] - a[j] y[j-i-1]),    y[k] and x[k] being the samples at time -1-k

    Args:
        b: Numerator, (..., nb).
        a: Denominator, (..., na).
        y: Past outputs, the latest first, (..., up to na - 1); missing ones are 0, further ones are not needed.
        x: Past inputs, the latest first, (..., up to nb - 1). None: zeros.

    Returns:
        zi, (..., max(nb, na) - 1), in the promoted dtype.

    Raises:
        TypeError: An argument is not a tensor, or not of a known dtype.
        ValueError: Shapes do not fit, or a[0] is 0.

    Example:
        >>> import torch, feedbackward as fb
        >>> fb.lfiltic(torch.tensor([0.5]), torch.tensor([1.0, -0.5]), torch.tensor([0.8]))
        tensor([0.4000])

    Source:
        The recurrence in `lfilter`, run from rest over the past samples; scipy.signal.lfiltic gives the same state.
    """
    b, a, y, x = tensors_of("lfiltic", {"b": b, "a": a, "y": y}, x=x)
    for name, samples in (("y", y), ("x", x)):
        if samples is not None and samples.ndim < 1:
            raise ValueError(f"lfiltic: {name} has shape (), expected (..., samples), the latest first")
    x = y.new_zeros(1) if x is None else x
    y, (b, a, x) = unify("lfiltic", y, [b, a, x], None)
    b, a = _coefficients("lfiltic", b, a)
    check_broadcast("lfiltic", {"b": tuple(b.shape[:-1]), "y": tuple(y.shape[:-1]), "x": tuple(x.shape[:-1])})
    states = b.shape[-1] - 1
    rows = []
    for i in range(states):
        length = states - i
        rows.append((_latest(x, length) * b[..., i + 1 :] - _latest(y, length) * a[..., i + 1 :]).sum(-1))
    shape = torch.broadcast_shapes(b.shape[:-1], y.shape[:-1], x.shape[:-1])
    return torch.stack(rows, -1) if rows else b.new_zeros((*shape, 0))


def steady_state(function: str, b: Tensor, a: Tensor) -> Tensor:
    """What `lfilter_zi` returns; errors name ``function``."""
    b, a = _coefficients(function, b, a)
    total = a.sum(-1, keepdim=True)
    if readable(total) and not total.all():
        raise ValueError(
            f"{function}: the coefficients a sum to 0, expected no pole at z = 1, where no steady state exists"
        )
    terms = (b - a * (b.sum(-1, keepdim=True) / total))[..., 1:]
    return terms.flip(-1).cumsum(-1).flip(-1)


def steady_states(function: str, sos: Tensor) -> Tensor:
    """What `sosfilt_zi` returns; errors name ``function``."""
    (sos,) = tensors_of(function, {"sos": sos})
    if sos.ndim < 2 or sos.shape[-1] != 6 or sos.shape[-2] == 0:
        raise ValueError(
            f"{function}: sos has shape {tuple(sos.shape)}, expected (..., sections, 6) with sections >= 1"
        )
    zi = steady_state(function, sos[..., :3], sos[..., 3:])
    gain = (sos[..., :3].sum(-1) / sos[..., 3:].sum(-1)).cumprod(-1)
    before = torch.cat([torch.ones_like(gain[..., :1]), gain[..., :-1]], -1)
    return zi * before.unsqueeze(-1)


def _latest(samples: Tensor, count: int) -> Tensor:
    return torch.nn.functional.pad(samples[..., :count], (0, max(count - samples.shape[-1], 0)))


def _coefficients(function: str, b: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """b and a of one dtype, normalized, and padded to the same length."""
    b, a = tensors_of(function, {"b": b, "a": a})
    for name, taps in (("b", b), ("a", a)):
        if taps.ndim < 1 or taps.shape[-1] == 0:
            raise ValueError(f"{function}: {name} has shape {tuple(taps.shape)}, expected (..., n) with n >= 1")
    check_broadcast(function, {"b": tuple(b.shape[:-1]), "a": tuple(a.shape[:-1])})
    b, (a,) = unify(function, b, [a], None)
    a0 = a[..., :1]
    check_leading_coefficient(function, "a[..., 0]", a0)
    length = max(b.shape[-1], a.shape[-1])
    b, a = (torch.nn.functional.pad(taps / a0, (0, length - taps.shape[-1])) for taps in (b, a))
    return torch.broadcast_tensors(b, a)
