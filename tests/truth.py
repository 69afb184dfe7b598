"""scipy.signal, one lane at a time, behind the broadcasting signature of this library."""

from __future__ import annotations

import numpy as np
import torch
from scipy import signal
from torch import Tensor


def _lanes(tensor: Tensor, lead: tuple[int, ...], core: int) -> np.ndarray:
    """The tensor broadcast over its leading shape and flattened to (lanes, *core axes)."""
    core_shape = tensor.shape[tensor.ndim - core :]
    wide = torch.complex128 if tensor.is_complex() else torch.float64
    tensor = tensor.detach().to(wide).expand(*lead, *core_shape).resolve_conj().resolve_neg()
    return tensor.reshape(torch.Size(lead).numel(), *core_shape).numpy(force=True)


def _filter(
    one, coefficients: list[tuple[Tensor, int]], x: Tensor, dim: int, zi: Tensor | None, state_axes: int, state: tuple
):
    dim = dim if dim < 0 else dim - x.ndim
    x = x.movedim(dim, -1)
    leads = [c.shape[: c.ndim - core] for c, core in coefficients]
    lead = torch.broadcast_shapes(*leads, x.shape[:-1], () if zi is None else zi.shape[: zi.ndim - state_axes])
    zi_all = torch.zeros(*lead, *state) if zi is None else zi
    arguments = [
        *(_lanes(c, lead, core) for c, core in coefficients),
        _lanes(x, lead, 1),
        _lanes(zi_all, lead, state_axes),
    ]
    steps = x.shape[-1]
    kind = np.result_type(*arguments)
    y = np.empty((len(arguments[0]), steps), kind)
    zf = np.array(arguments[-1], kind)
    if steps:  # scipy refuses an empty signal
        for i, lane in enumerate(zip(*arguments, strict=True)):
            y[i], zf[i] = one(*lane)
    y = torch.as_tensor(y).reshape(*lead, steps).movedim(-1, dim)
    return y if zi is None else (y, torch.as_tensor(zf).reshape(*lead, *state))


def lfilter(b: Tensor, a: Tensor, x: Tensor, dim: int = -1, zi: Tensor | None = None):
    """``scipy.signal.lfilter`` in float64 or complex128; y, or (y, zf) with zi."""
    order = max(b.shape[-1], a.shape[-1]) - 1
    return _filter(
        lambda b, a, x, zi: signal.lfilter(b, a, x, zi=zi) if order else (b[0] / a[0] * x, zi),
        [(b, 1), (a, 1)], x, dim, zi, 1, (order,),
    )  # fmt: skip


def sosfilt(sos: Tensor, x: Tensor, dim: int = -1, zi: Tensor | None = None):
    """``scipy.signal.sosfilt`` in float64, complex sections one ``lfilter`` each; y, or (y, zf) with zi."""

    def one(sos: np.ndarray, x: np.ndarray, zi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        states = np.empty_like(zi, np.result_type(sos, x, zi))
        for k, (section, state) in enumerate(zip(sos, zi, strict=True)):
            x, states[k] = signal.lfilter(section[:3], section[3:], x, zi=state)
        return x, states

    if sos.is_complex() or x.is_complex() or (zi is not None and zi.is_complex()):
        return _filter(one, [(sos, 2)], x, dim, zi, 2, (sos.shape[-2], 2))
    return _filter(
        lambda sos, x, zi: signal.sosfilt(sos, x, zi=zi), [(sos / sos[..., 3:4], 2)], x, dim, zi, 2, (sos.shape[-2], 2)
    )
