"""Every operator that a cell may use on its state: the public function of torch, by the name that scan has for it.

Functions take two tensors of shape (3, 4) that both depend on the state; numbers are brought into the operator's
domain first. Cells with other needs bring constants of their own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

import feedbackward as fb

Function = Callable[[Tensor, Tensor], Tensor]
aten = torch.ops.aten
WEIGHTS = torch.linspace(-1, 1, 16, dtype=torch.float64).reshape(4, 4).sin()
MASK = torch.tensor([[True, False, True, True]])


def positive(a: Tensor) -> Tensor:
    return a.abs() + 0.3


def above_one(a: Tensor) -> Tensor:
    return a.abs() + 1.2


def within_one(a: Tensor) -> Tensor:
    return 0.9 * torch.tanh(a)


def within_zero_and_one(a: Tensor) -> Tensor:
    return 0.8 * torch.sigmoid(a) + 0.1


def anything(a: Tensor) -> Tensor:
    return a


def _of_one(function: Callable[[Tensor], Tensor]) -> Function:
    return lambda a, b: function(a)


def _named(names: str) -> dict[str, Function]:
    return {name: _of_one(getattr(torch, name)) for name in names.split()}


UNARY: dict[str, Function] = {
    **_named(
        "neg abs sqrt rsqrt reciprocal exp expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh asinh acosh "
        "atanh tanh sigmoid erf erfc floor ceil trunc sign square exp2 relu isnan isinf isfinite sgn frac zeros_like "
        "ones_like logical_not detach clone logit round"
    ),
    "hardtanh": lambda a, b: F.hardtanh(a, -0.5, 0.7),
    "relu6": lambda a, b: F.relu6(6 * a),
    "threshold": lambda a, b: F.threshold(a, 0.1, 20.0),
    "leaky_relu": lambda a, b: F.leaky_relu(a, 0.2),
    "gelu": lambda a, b: F.gelu(a),
    "gelu by tanh": lambda a, b: F.gelu(a, approximate="tanh"),
    "elu": lambda a, b: F.elu(a, 0.7),
    "selu": lambda a, b: F.selu(a),
    "celu": lambda a, b: F.celu(a, 0.6),
    "softplus": lambda a, b: F.softplus(a, 2.0, 1.0),
    "softplus by default": lambda a, b: F.softplus(a),
    "silu": lambda a, b: F.silu(a),
    "mish": lambda a, b: F.mish(a),
    "hardsigmoid": lambda a, b: F.hardsigmoid(a),
    "hardswish": lambda a, b: F.hardswish(a),
    "log_sigmoid": lambda a, b: F.logsigmoid(a),
    "softsign": lambda a, b: F.softsign(a),
    "tanhshrink": lambda a, b: F.tanhshrink(a),
    "hardshrink": lambda a, b: F.hardshrink(a, 0.3),
    "softshrink": lambda a, b: F.softshrink(a, 0.3),
    "round to decimals": lambda a, b: torch.round(a, decimals=1),
    "clamp": lambda a, b: torch.clamp(a, -0.5, 0.5),
    "clamp_min": lambda a, b: a.clamp_min(0.2),
    "clamp from above": lambda a, b: a.clamp(max=0.4),
    "full_like": lambda a, b: torch.full_like(a, 0.5),
    "nan_to_num": lambda a, b: torch.nan_to_num(a, 1.0, 2.0, 3.0),
    "square root": lambda a, b: a**0.5,
    "cube": lambda a, b: a**3,
    "fourth power": lambda a, b: a**4,
    "inverse square": lambda a, b: a**-2,
    "some power": lambda a, b: a**1.7,
    "power of two": lambda a, b: 2.0**a,
    "to float32": lambda a, b: a.float(),
    "to integers": lambda a, b: a.long().to(a.dtype),
    "to truth": lambda a, b: a.bool(),
    "in place": lambda a, b: a.clone().mul_(2).add_(1).sigmoid_(),
}
BINARY: dict[str, Function] = {
    "add": lambda a, b: torch.add(a, b, alpha=2),
    "sub": lambda a, b: torch.sub(a, b, alpha=2),
    "rsub": lambda a, b: torch.rsub(a, b, alpha=2),
    "mul": torch.mul,
    "div": torch.div,
    "true_divide": torch.true_divide,
    "floor_divide": lambda a, b: torch.floor_divide(a.detach(), b.detach()),  # torch has no derivative
    "div and trunc": lambda a, b: torch.div(a, b, rounding_mode="trunc"),
    "pow": torch.pow,
    "atan2": torch.atan2,
    "fmod": torch.fmod,
    "remainder": torch.remainder,
    "lt": torch.lt, "le": torch.le, "gt": torch.gt, "ge": torch.ge, "eq": torch.eq, "ne": torch.ne,
    "maximum": torch.maximum, "minimum": torch.minimum, "max": torch.max, "min": torch.min,
    "where": lambda a, b: torch.where(a > b, a, 2 * b),
    "masked_fill": lambda a, b: a.masked_fill(b > 0, 2.0),
    "masked_fill by a constant mask": lambda a, b: a.masked_fill(MASK, 2.0),
    "clip": lambda a, b: torch.clip(a, -b.abs() - 0.1, b.abs()),
    "clamp_max": lambda a, b: torch.clamp_max(a, b),
    "lerp": lambda a, b: torch.lerp(a, b, 0.3),
    "lerp by a tensor": lambda a, b: torch.lerp(a, b, a),
    "addcmul": lambda a, b: torch.addcmul(a, b, a, value=0.5),
    "addcdiv": lambda a, b: torch.addcdiv(a, a, b, value=0.5),
    "logical_and": torch.logical_and, "logical_or": torch.logical_or, "logical_xor": torch.logical_xor,
    "bitwise_not": lambda a, b: ~(a > b),
    "bitwise_and": lambda a, b: (a > 0) & (b > 0),
    "bitwise_or": lambda a, b: (a > 0) | (b > 0),
    "bitwise_xor": lambda a, b: (a > 0) ^ (b > 0),
    "logaddexp": torch.logaddexp,
    "hypot": torch.hypot,
    "xlogy": torch.xlogy,
    "copy": lambda a, b: torch.empty_like(a).copy_(b),
    "fill": lambda a, b: torch.empty_like(a).fill_(b[0, 0]),
    "alias": lambda a, b: aten.alias(a),
    "lift_fresh_copy": lambda a, b: a * torch.tensor([0.5, 1.0, 1.5, 2.0], dtype=a.dtype),
}  # fmt: skip
MOVES: dict[str, Function] = {
    "select": lambda a, b: a[:, 1],
    "select of a batch element": lambda a, b: a[1],
    "slice": lambda a, b: a[:, 1:3],
    "every other": lambda a, b: a[:, ::2],
    "contiguous": lambda a, b: a.t().contiguous(),
    "view": lambda a, b: a.view(3, 2, 2),
    "_unsafe_view": lambda a, b: aten._unsafe_view(a, [3, 2, 2]),
    "reshape": lambda a, b: a.reshape(-1),
    "permute": lambda a, b: a.view(3, 2, 2).permute(2, 0, 1),
    "transpose": lambda a, b: a.transpose(0, 1),
    "t": lambda a, b: a.t(),
    "unsqueeze": lambda a, b: a.unsqueeze(1),
    "squeeze": lambda a, b: a.unsqueeze(1).squeeze(1),
    "expand": lambda a, b: a[:, :1].expand(3, 4),
    "cat": lambda a, b: torch.cat([a, b], -1),
    "cat of lanes": lambda a, b: torch.cat([a, b], 0),
    "stack": lambda a, b: torch.stack([a, b], 1),
    "split": lambda a, b: a.split(3, -1)[1],
    "split_with_sizes": lambda a, b: a.split([1, 3], -1)[1],
    "chunk": lambda a, b: a.chunk(2, -1)[1],
    "unbind": lambda a, b: a.unbind(-1)[1],
    "flip": lambda a, b: a.flip(-1),
    "flip of lanes": lambda a, b: a.flip(0),
    "roll": lambda a, b: a.roll(1, -1),
    "index_select": lambda a, b: a.index_select(1, torch.tensor([2, 0])),
    "repeat": lambda a, b: a.repeat(1, 2),
    "repeat_interleave": lambda a, b: a.repeat_interleave(2, -1),
    "constant_pad_nd": lambda a, b: F.pad(a, (1, 2)),
    "constant_pad_nd with a value": lambda a, b: F.pad(a, (1, 2), value=0.5),
    "circular padding": lambda a, b: F.pad(a, (2, 1), mode="circular"),
    "narrow": lambda a, b: a.narrow(1, 1, 2),
    "diagonal": lambda a, b: a.view(3, 2, 2).diagonal(dim1=1, dim2=2),
    "select_scatter": lambda a, b: torch.select_scatter(a, b[:, 0], 1, 2),
    "slice_scatter": lambda a, b: torch.slice_scatter(a, b[:, :2], 1, 1, 3),
    "movedim": lambda a, b: a.view(3, 2, 2).movedim(1, 2),
    "gather": lambda a, b: a.gather(1, torch.tensor([[0, 1], [0, 1], [0, 1]])),
    "index": lambda a, b: a[:, [3, 1, 1]],
    "unfold": lambda a, b: a.unfold(1, 2, 1),
    "as_strided": lambda a, b: a.as_strided((3, 2), (4, 2)),
    "tril": lambda a, b: a.view(3, 2, 2).tril(),
    "written in place": lambda a, b: _written(a, b),
}
COUPLED: dict[str, Function] = {
    "mm": lambda a, b: a @ WEIGHTS,
    "mm from the left": lambda a, b: (WEIGHTS @ a.T).T,
    "mm of states": lambda a, b: a @ b.T,
    "bmm": lambda a, b: torch.bmm(a.view(3, 2, 2), b.view(3, 2, 2)),
    "bmm with weights": lambda a, b: torch.einsum("bgi,gij->bgj", a.view(3, 2, 2), WEIGHTS.view(4, 2, 2)[:2]),
    "mv": lambda a, b: a.mv(b[0]),
    "dot": lambda a, b: a[0].dot(b[0]),
    "addmm": lambda a, b: torch.addmm(b, a, WEIGHTS, beta=0.5, alpha=2.0),
    "baddbmm": lambda a, b: torch.baddbmm(b.view(3, 2, 2), a.view(3, 2, 2), a.view(3, 2, 2), beta=0.3, alpha=0.7),
    "addmv": lambda a, b: torch.addmv(b[:, 0], a, WEIGHTS[0]),
    "outer": lambda a, b: torch.outer(a[0], b[1]),
    "sum": lambda a, b: a.sum(-1),
    "sum of everything": lambda a, b: a.sum(),
    "mean": lambda a, b: a.mean(0),
    "mean of several axes": lambda a, b: a.view(3, 2, 2).mean((0, 2), keepdim=True),
    "amax": lambda a, b: a.amax(-1),
    "amin": lambda a, b: a.amin(-1),
    "max of an axis": lambda a, b: a.max(-1).values,
    "min of an axis": lambda a, b: a.min(0).values,
    "max of everything": lambda a, b: a.max(),
    "any": lambda a, b: (a > 0).any(-1),
    "all": lambda a, b: (a > 0).all(-1),
    "var": lambda a, b: a.var(-1),
    "std": lambda a, b: a.std(-1, unbiased=False),
    "_softmax": lambda a, b: a.softmax(-1),
    "_log_softmax": lambda a, b: a.log_softmax(-1),
    "logsumexp": lambda a, b: a.logsumexp(-1),
    "native_layer_norm": lambda a, b: F.layer_norm(a, (4,), WEIGHTS[0], WEIGHTS[1]),
    "rms_norm": lambda a, b: F.rms_norm(a, (4,)),
    "linalg_vector_norm": lambda a, b: a.norm(dim=-1),
    "normalize": lambda a, b: F.normalize(a, dim=-1),
    "cumsum": lambda a, b: a.cumsum(-1),
    "glu": lambda a, b: F.glu(torch.cat([a, b], -1)),
    "band_matmul": lambda a, b: fb.band_matmul(a, WEIGHTS[:3], 1, 1),
}
DOMAINS: dict[str, Callable[[Tensor], Tensor]] = {
    **dict.fromkeys("sqrt rsqrt log log2 log10 reciprocal pow div true_divide xlogy".split(), positive),
    **dict.fromkeys(("square root", "inverse square", "some power", "remainder", "fmod", "addcdiv"), positive),
    **dict.fromkeys("asin acos atanh log1p".split(), within_one),
    "acosh": above_one,
    "logit": within_zero_and_one,
}
POINTWISE = {**UNARY, **BINARY}
OPERATORS = {**POINTWISE, **MOVES, **COUPLED}


def _written(a: Tensor, b: Tensor) -> Tensor:
    out = a.clone()
    out[:, 0] = b[:, 1]
    out[:, 1:3] *= 2
    out += b
    return out
