"""Products with banded matrices on the device: what ``feedbackward::band_matmul`` and ``band_outer`` compute."""

from __future__ import annotations

import torch
import triton.language as tl
from torch import Tensor

from .kernels import band as kernels
from .launch import blocks, launch

_LANES, _ROWS, _CHUNK = 8, 128, 1024
_DTYPES = {torch.float32: tl.float32, torch.float64: tl.float64}


def matmul(x: Tensor, weight: Tensor, lower: int, upper: int) -> Tensor:
    """The products of x (..., n) with the matrix of ``weight`` (lower + upper + 1, n)."""
    n = x.shape[-1]
    flat = x.reshape(-1, n)
    flat = flat if flat.stride(1) == 1 else flat.contiguous()
    y = x.new_empty(flat.shape)
    launch(
        kernels.product,
        (blocks(n, _ROWS) * blocks(len(flat), _LANES),),
        *(flat, flat.stride(0), weight.contiguous(), y, len(flat), n, lower, lower + upper + 1),
        like=x,
        LANES=_LANES,
        ROWS=_ROWS,
        DTYPE=_DTYPES[x.dtype],
    )
    return y.reshape(x.shape)


def outer(d_y: Tensor, x: Tensor, lower: int, upper: int) -> Tensor:
    """The sums of d_y[l, i] x[l, i + d - lower] over l: (lower + upper + 1, n) from two (count, n)."""
    count, n = x.shape
    chunks, diagonals = max(blocks(count, _CHUNK), 1), lower + upper + 1
    parts = x.new_empty(chunks, diagonals, n)
    launch(
        kernels.outer,
        (blocks(n, _ROWS) * diagonals * chunks,),
        *(d_y.contiguous(), x.contiguous(), parts, count, n, lower, diagonals),
        like=x,
        CHUNK=_CHUNK,
        LANES=_LANES,
        ROWS=_ROWS,
        DTYPE=_DTYPES[x.dtype],
    )
    return parts.sum(0)
