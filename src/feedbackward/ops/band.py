"""Products with a matrix that is stored by its diagonals.

    y[i] = sum_j W[i, j] x[j],    W[i, i + d - lower] = weight[d, i],    d = 0 .. lower + upper

Diagonal d = lower is the main one; entries that would lie outside the matrix are not read.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from . import device
from .library import operations  # loads the operators

_library = torch.library.Library("feedbackward", "FRAGMENT")
_on_device = device.late("band_matmul", "band", "matmul")
_library.define("band_matmul(Tensor x, Tensor weight, int lower, int upper) -> Tensor")


METHODS = ("native", "sparse", "index")


def band_matmul(x: Tensor, weight: Tensor, lower: int, upper: int, *, method: str = "native") -> Tensor:
    """Multiply vectors by a banded matrix.

        y[..., i] = sum_d weight[d, i] x[..., i + d - lower],    d = 0 .. lower + upper, 0 <= i + d - lower < n

    Memory and work are proportional to n (lower + upper + 1). In the cell of a `scan` it is one instruction.

    Args:
        x: (..., n).
        weight: (lower + upper + 1, n), by diagonals: ``weight[d, i]`` is row i, column i + d - lower of the matrix.
        lower: Diagonals below the main one.
        upper: Diagonals above the main one.
        method: ``"native"``, a kernel; ``"sparse"``, a sparse matrix of torch's (CSR); ``"index"``, a window of x for
            every diagonal, in plain operators. The results are the same, to rounding; only ``"native"`` has derivatives
            of every order and runs inside a scan. Which is fast when is among the benchmarks. The kernel has float32
            and float64; ``"native"`` computes other dtypes as ``"index"`` does.

    Returns:
        (..., n), in the dtype of x.

    Raises:
        ValueError: Shapes or dtypes that do not fit together, or an unknown method.

    Example:
        >>> import torch, feedbackward as fb
        >>> weight = torch.tensor([[9.0, 1.0, 1.0], [2.0, 2.0, 2.0]])  # the 9 would lie outside
        >>> fb.band_matmul(torch.tensor([1.0, 10.0, 100.0]), weight, lower=1, upper=0)
        tensor([  2.,  21., 210.])
    """
    if lower < 0 or upper < 0:
        raise ValueError(f"band_matmul: lower is {lower} and upper {upper}, expected at least 0")
    if x.ndim == 0 or weight.shape != (lower + upper + 1, x.shape[-1]):
        n = x.shape[-1] if x.ndim else "n"
        raise ValueError(
            f"band_matmul: weight has shape {tuple(weight.shape)}, expected ({lower + upper + 1}, {n}) = "
            f"(lower + upper + 1, n) for x of shape {tuple(x.shape)}"
        )
    if x.dtype != weight.dtype:
        raise ValueError(f"band_matmul: x is {x.dtype} and weight {weight.dtype}, expected the same dtype")
    if method not in METHODS:
        raise ValueError(f"band_matmul: method is {method!r}, expected one of {', '.join(map(repr, METHODS))}")
    if method == "sparse":
        return _by_sparse_matrix(x, weight, lower, upper)
    if method == "index":
        return _by_index(x, weight, lower, upper)
    product: Any = torch.ops.feedbackward.band_matmul.default
    return product(x, weight, lower, upper)


def outside_band(weight: Tensor, lower: int, upper: int) -> Tensor:
    """Where a weight (lower + upper + 1, n) has entries that would lie outside of the matrix."""
    column = torch.arange(weight.shape[-1], device=weight.device) + torch.arange(
        -lower, upper + 1, device=weight.device
    ).unsqueeze(1)
    return (column < 0) | (column >= weight.shape[-1])


def transposed(weight: Tensor, lower: int, upper: int) -> Tensor:
    """The diagonals of the transposed matrix, which has ``upper`` below the main one and ``lower`` above.

    w'[d, i] = w[lower + upper - d, i + d - upper], and 0 where that is outside.
    """
    n = weight.shape[1]
    padded = pad(weight.flip(0), (upper, lower))
    return torch.stack([padded[d, d : d + n] for d in range(weight.shape[0])])


def outer(d_y: Tensor, x: Tensor, lower: int, upper: int) -> Tensor:
    """The gradient of the diagonals: sums of d_y[..., i] x[..., i + d - lower] over all leading axes."""
    n = x.shape[-1]
    windows = pad(x.reshape(-1, n), (lower, upper)).unfold(-1, n, 1)  # (..., diagonal, row)
    return (d_y.reshape(-1, 1, n) * windows).sum(0)


def _by_index(x: Tensor, weight: Tensor, lower: int, upper: int) -> Tensor:
    """A window of lower + upper + 1 neighbors for every row."""
    return (pad(x, (lower, upper)).unfold(-1, x.shape[-1], 1) * weight).sum(-2)


def _by_sparse_matrix(x: Tensor, weight: Tensor, lower: int, upper: int) -> Tensor:
    """A matrix of torch's that knows its entries by row."""
    n = x.shape[-1]
    inside = ~outside_band(weight, lower, upper).T
    row, d = inside.nonzero().unbind(1)
    entries = torch.stack([row, row + d - lower])
    matrix = torch.sparse_coo_tensor(entries, weight.T[inside], (n, n), is_coalesced=True, check_invariants=False)
    return torch.sparse.mm(matrix, x.reshape(-1, n).T).T.reshape(x.shape)


def _product(x: Tensor, weight: Tensor, lower: int, upper: int) -> Tensor:
    """One step of a program of one instruction, every vector a lane."""
    n = x.shape[-1]
    if x.dtype not in (torch.float32, torch.float64) or x.numel() == 0:
        return _by_index(x, weight, lower, upper)
    if device.takes(x):
        product: Tensor = _on_device(x, weight, lower, upper)
        return product
    scan: Any = torch.ops.feedbackward.scan.default
    count = x.numel() // n
    (y, _) = scan(_words(n, lower), [], [weight], [x.reshape(1, count, n)], [], [count], [n], 1, False, 1, False)
    return y.reshape(x.shape)


@functools.lru_cache(maxsize=256)
def _words(n: int, lower: int) -> Tensor:
    """Sequence 0 times matrix 0 is output 0, in the encoding of core/feedbackward.h."""
    sequence, output = (3, 0, n, 0), (4, 0, n, 0)
    return torch.tensor([2, 1, 0, *sequence, *output, operations()["banded"], n, 1, 0, 0, lower, 0, 0], device="cpu")


def _fake(x: Tensor, weight: Tensor, lower: int, upper: int) -> Tensor:
    return torch.empty_like(x)


def _fake_outer(d_y: Tensor, x: Tensor, lower: int, upper: int) -> Tensor:
    return x.new_empty(lower + upper + 1, x.shape[-1])


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])
    ctx.widths = inputs[2:]


def _backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:
    (x, weight), (lower, upper) = ctx.saved_tensors, ctx.widths
    need_x, need_weight = ctx.needs_input_grad[:2]
    d_x = band_matmul(d_y, transposed(weight, lower, upper), upper, lower) if need_x else None
    d_weight = _outer(d_y, x, lower, upper) if need_weight else None
    return d_x, d_weight, None, None


def _outer(d_y: Tensor, x: Tensor, lower: int, upper: int) -> Tensor:
    if torch.is_grad_enabled() or d_y.dtype not in (torch.float32, torch.float64):
        return outer(d_y, x, lower, upper)
    n = x.shape[-1]
    d_y, x = (t.reshape(-1, n).contiguous() for t in (d_y, x))
    return torch.ops.feedbackward.band_outer.default(d_y, x, lower, upper)


for _device in ("CPU", "CUDA"):
    _library.impl("band_matmul", _product, _device)
torch.library.register_fake("feedbackward::band_matmul", _fake, lib=_library)
torch.library.register_fake("feedbackward::band_outer", _fake_outer, lib=_library)
torch.library.register_autograd("feedbackward::band_matmul", _backward, setup_context=_keep, lib=_library)
