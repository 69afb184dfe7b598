"""Products of matrices over all steps and lanes at once, outside the loop.

    c[i, j] = bias[j] + sum_k a[i, k] b[k, j]

    d_a = d_c b^T,    d_b = a^T d_c,    d_bias = sum_i d_c[i]

They are a large part of what a recurrent layer computes. The library behind torch's own product may run at half speed
on processors that are not of its maker; the core's does not, and its sums do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import library as library  # loads the operators
from .operator import is_transformed

_WORTH = 1 << 20  # multiplications, below which the way to the core takes longer than the product
_PLAIN = (Tensor, torch.nn.Parameter)


def multiply(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """The product of two matrices.

    Args:
        a: (rows, depth), of any strides.
        b: (depth, columns), of any strides.
        bias: (columns,).

    Returns:
        (rows, columns), differentiable in every way.
    """
    if not _suits(a, b, bias):
        return torch.mm(a, b) if bias is None else torch.addmm(bias, a, b)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (a, b, bias)):
        product: Tensor = _Product.apply(a, b, bias)  # type: ignore[no-untyped-call]
        return product
    return _native(a, b, bias)


def _suits(a: Tensor, b: Tensor, bias: Tensor | None) -> bool:
    """Whether the core takes them: large, on CPU, and nobody looks on who wants torch's own operators."""
    given = (a, b) if bias is None else (a, b, bias)
    if torch.compiler.is_compiling() or any(type(t) not in _PLAIN or t.device.type != "cpu" for t in given):
        return False
    if a.dtype not in (torch.float32, torch.float64) or any(t.dtype != a.dtype for t in given):
        return False
    return a.shape[0] * a.shape[1] * b.shape[1] >= _WORTH and not is_transformed()


def _native(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    product: Any = torch.ops.feedbackward.multiply.default
    return product(a, b, None if bias is None else bias.contiguous())


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(a, b)
        return _native(a, b, bias)

    @staticmethod
    def backward(ctx: Any, *d: Tensor) -> tuple[Tensor | None, ...]:
        (d_c,), (a, b) = d, ctx.saved_tensors
        need_a, need_b, need_bias = ctx.needs_input_grad
        return (
            multiply(d_c, b.mT) if need_a else None,
            multiply(a.mT, d_c) if need_b else None,
            d_c.sum(0) if need_bias else None,
        )
