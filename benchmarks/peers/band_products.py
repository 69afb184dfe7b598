"""The methods of `fb.band_matmul`, and torch.matmul with the same matrix, dense: on their own and in time.

Under `fb.scan` runs the native method; the others run in a loop over time, as a user would write it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..case import Build, Call, Inputs
from .torch_band import dense, diagonals

Product = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # x (..., n) and the weight to y
Loop = Callable[[Product, torch.Tensor, torch.Tensor], torch.Tensor]  # the same over x (T, B, n)


def _by(method: str) -> Product:
    def product(x: torch.Tensor, band: torch.Tensor) -> torch.Tensor:
        import feedbackward as fb

        each_side = len(band) // 2
        y: torch.Tensor = fb.band_matmul(x, band, each_side, each_side, method=method)
        return y

    return product


def _dense(x: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    return torch.matmul(x, matrix.T)


def _once(product: Product, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return product(x, weight)


def _eagerly(product: Product, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    h, outputs = torch.zeros_like(x[0]), []
    for now in x.unbind(0):
        h = torch.tanh(product(h, weight) + now)
        outputs.append(h)
    return torch.stack(outputs)


def _scan(product: Product, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    import feedbackward as fb

    def cell(h: torch.Tensor, now: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = torch.tanh(product(h, weight) + now)
        return h, h

    y: torch.Tensor = fb.scan(cell, torch.zeros_like(x[0]), x)[1]
    return y


def _forward(loop: Loop, product: Product) -> Build:
    def build(inputs: Inputs) -> Call:
        x, band = (torch.from_numpy(inputs[name]) for name in ("x", "band"))
        weight = dense(band) if product is _dense else band
        return lambda: (loop(product, x, weight),)

    return build


def _gradient(loop: Loop, product: Product) -> Build:
    """A dense matrix is a parameter of its own; of its gradient the band is compared."""

    def build(inputs: Inputs) -> Call:
        x, band, g = (torch.from_numpy(inputs[name]) for name in ("x", "band", "g"))
        weight = dense(band) if product is _dense else band
        x.requires_grad_()
        weight.requires_grad_()

        def call() -> tuple[torch.Tensor, ...]:
            y = loop(product, x, weight)
            d_x, d_weight = torch.autograd.grad(y, (x, weight), g)
            return y, d_x, diagonals(d_weight, band) if product is _dense else d_weight

        return call

    return build


_native, _sparse, _index = (_by(method) for method in ("native", "sparse", "index"))
native_forward, native_gradient = _forward(_once, _native), _gradient(_once, _native)
sparse_forward, sparse_gradient = _forward(_once, _sparse), _gradient(_once, _sparse)
index_forward, index_gradient = _forward(_once, _index), _gradient(_once, _index)
dense_forward, dense_gradient = _forward(_once, _dense), _gradient(_once, _dense)
native_loop_forward, native_loop_gradient = _forward(_scan, _native), _gradient(_scan, _native)
sparse_loop_forward, sparse_loop_gradient = _forward(_eagerly, _sparse), _gradient(_eagerly, _sparse)
index_loop_forward, index_loop_gradient = _forward(_eagerly, _index), _gradient(_eagerly, _index)
dense_loop_forward, dense_loop_gradient = _forward(_eagerly, _dense), _gradient(_eagerly, _dense)
