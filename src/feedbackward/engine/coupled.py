"""Operators that mix the rows of a lane: products with matrices, reductions, softmax, normalization."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from .errors import line_of, refusal
from .ir import Value
from .nodes import Lowered, Misfit, Weights
from .pointwise import Formula

if TYPE_CHECKING:
    from .lower import Lowerer

_LARGEST_PRODUCT = 4096  # multiplications of a product of two matrices that differ from lane to lane


def _rest(count: int, lanes: Sequence[int | None]) -> list[int]:
    return [a for a in range(count) if a not in lanes]


def _contract(lowerer: Lowerer, node: fx.Node, a: Value, b: Value, a_at: torch.Tensor, b_at: torch.Tensor) -> Value:
    """Sums over the last axis of the products of the rows ``a_at`` of a and ``b_at`` of b."""
    if a_at.numel() > _LARGEST_PRODUCT:
        raise refusal(
            f"{node.target} multiplies two matrices that both depend on the state or the lane, {a_at.numel()} products",
            f"at most {_LARGEST_PRODUCT} are unrolled",
            line_of(node),
        )
    g = lowerer.g
    product = g.emit("mul", g.gather(a, a_at.flatten().tolist()), g.gather(b, b_at.flatten().tolist()))
    return g.reduce("sum_rows", g.widen(product, a_at.numel()), a_at.shape[-1])


def _product(lowerer: Lowerer, node: fx.Node, left: fx.Node, right: fx.Node) -> Lowered:
    """(..., n, m) times (..., m, p), for as many leading axes as both have."""
    if lowerer.in_loop(left) and lowerer.known[left].unfolded:
        return _folded_product(lowerer, node, left, right)
    ndim = left.meta["val"].ndim
    (*lead, n, m), p = left.meta["val"].shape, right.meta["val"].shape[-1]
    loop_left, loop_right = lowerer.in_loop(left), lowerer.in_loop(right)
    lanes_left = lowerer.known[left].lanes if loop_left else ()
    lanes_right = lowerer.known[right].lanes if loop_right else ()
    last, before = ndim - 1, ndim - 2
    if last in lanes_left or before in lanes_right:
        raise Misfit(node, "sums over lanes")
    lanes = lanes_left or lanes_right
    groups = math.prod(lead[a] for a in range(ndim - 2) if a not in lanes)
    shared = not any(a < ndim - 2 for a in lanes)  # the other factor is the same in all lanes

    if loop_left and lowerer.is_constant(right) and shared and (before in lanes_left or n == 1 or not lanes_left):
        # state times weights: y_i = sum_j W_ij x_j with W the transpose of what stands at the right
        times = 1 if before in lanes_left else n
        order = (*range(ndim - 2), last, before)
        return Lowered(_apply(lowerer, right, order, lowerer.known[left].value, groups, times, p, m, False), lanes)
    if loop_right and lowerer.is_constant(left) and shared and (last in lanes_right or not lanes_right):
        times = 1 if last in lanes_right else p
        value = _apply(lowerer, left, tuple(range(ndim)), lowerer.known[right].value, groups, times, n, m, True)
        return Lowered(value, lanes)
    if before in lanes or last in lanes:
        raise Misfit(node, "multiplies matrices of which one differs from lane to lane")
    a, b = lowerer.leaf(left, lanes), lowerer.leaf(right, lanes)
    group = torch.arange(groups).reshape(-1, 1, 1, 1)
    i, j, k = torch.arange(n).reshape(-1, 1, 1), torch.arange(p).reshape(-1, 1), torch.arange(m)
    a_at = ((group * n + i) * m + k).expand(groups, n, p, m)
    b_at = ((group * m + k) * p + j).expand(groups, n, p, m)
    return Lowered(_contract(lowerer, node, a, b, a_at, b_at), lanes)


def _folded_product(lowerer: Lowerer, node: fx.Node, left: fx.Node, right: fx.Node) -> Lowered:
    """Rows of several vectors of every lane, times weights: torch folds (lanes, times, m) to do so."""
    x: Lowered = lowerer.known[left]
    assert x.unfolded is not None
    if not lowerer.is_constant(right) or len(x.unfolded) - 1 in x.lanes:
        raise Misfit(
            node, "multiplies matrices that both depend on the state, over an axis that merges lanes with rows"
        )
    m, p = right.meta["val"].shape
    times = x.value.rows // m
    return Lowered(_apply(lowerer, right, (1, 0), x.value, 1, times, p, m, False), x.lanes, (*x.unfolded[:-1], p))


def _apply(
    lowerer: Lowerer,
    weights: fx.Node,
    order: tuple[int, ...],
    x: Value,
    groups: int,
    times: int,
    rows: int,
    columns: int,
    from_left: bool,
) -> Value:
    """Weights (groups, rows, columns) on every column vector of x.

    x has rows (groups, times, columns), or (groups, columns, times) when the weights stand at its left.
    """
    g = lowerer.g
    if groups == 1:
        m = lowerer.matrix(Weights(weights, order, (rows, columns)), "dense", rows, columns)
    else:
        shape = (groups, rows, columns)
        m = lowerer.matrix(Weights(weights, order, shape), "block", groups * rows, groups * columns, groups=groups)
    if times == 1:
        return g.apply(m, x)
    at = torch.arange(x.rows)
    at = (
        at.reshape(groups, columns, times).permute(2, 0, 1)
        if from_left
        else at.reshape(groups, times, columns).movedim(1, 0)
    )
    results = g.concat([g.apply(m, g.gather(x, one.flatten().tolist())) for one in at])
    to = torch.arange(results.rows).reshape(times, groups, rows)
    to = to.permute(1, 2, 0) if from_left else to.movedim(0, 1)
    return g.gather(results, to.flatten().tolist())


def _vector(lowerer: Lowerer, node: fx.Node, left: fx.Node, right: fx.Node) -> Lowered:
    """mv, for cells without a batch."""
    n, m = left.meta["val"].shape
    if lowerer.in_loop(right) and lowerer.is_constant(left):
        return Lowered(_apply(lowerer, left, (0, 1), lowerer.known[right].value, 1, 1, n, m, True), ())
    a, b = lowerer.leaf(left, ()), lowerer.leaf(right, ())
    a_at = torch.arange(n * m).reshape(n, m)
    return Lowered(_contract(lowerer, node, a, b, a_at, torch.arange(m).expand(n, m)), ())


def _dot(lowerer: Lowerer, node: fx.Node) -> Lowered:
    a, b = (lowerer.leaf(n, ()) for n in node.args)
    return Lowered(lowerer.g.reduce("sum_rows", lowerer.g.emit("mul", a, b), max(a.rows, b.rows)), ())


def _with_bias(product: Callable[..., Lowered]) -> Callable[[Lowerer, fx.Node], Lowered]:
    """beta * bias + alpha * product."""

    def handler(lowerer: Lowerer, node: fx.Node) -> Lowered:
        bias, left, right = node.args
        if lowerer.in_loop(left) or lowerer.in_loop(right):
            y = product(lowerer, node, left, right)
        else:
            raise refusal(f"{node.target} adds the state to a product of weights", "write it as a product and a sum")
        ndim = node.meta["val"].ndim
        lanes = () if y.unfolded else y.lanes or lowerer.lane_axes(node, [bias])
        shape = lowerer.channels(node, lanes)
        if y.unfolded:
            shape = tuple(s for a, s in enumerate(y.unfolded) if a not in y.lanes)
        f = Formula(lowerer.g, y.value.rows)
        b = lowerer.operand(bias, ndim, lanes, shape)
        alpha, beta = node.kwargs.get("alpha", 1), node.kwargs.get("beta", 1)
        scaled = y.value if alpha == 1 else f("mul", y.value, alpha)
        return Lowered(f("add", scaled, b if beta == 1 else f("mul", b, beta)), y.lanes or lanes, y.unfolded)

    return handler


def _axes(node: fx.Node, argument: int) -> list[int]:
    ndim = node.args[0].meta["val"].ndim
    dims = node.args[argument] if len(node.args) > argument else node.kwargs.get("dim")
    if dims is None or dims == [] or ndim == 0:
        return list(range(ndim))
    return [d % max(ndim, 1) for d in ([dims] if isinstance(dims, int) else dims)]


def _reduced(lowerer: Lowerer, node: fx.Node, x: Lowered, axes: Sequence[int], op: str) -> Value:
    """Reduces axes of a tensor that are not lanes, the last one first."""
    if set(axes) & set(x.lanes):
        raise Misfit(node, "reduces over lanes")
    shape = list(node.args[0].meta["val"].shape)
    rest = _rest(len(shape), x.lanes)
    value, sizes = x.value, [shape[a] for a in rest]
    for at in sorted((rest.index(a) for a in axes), reverse=True):
        value = lowerer.g.reduce(op, value, sizes[at], math.prod(sizes[at + 1 :]))
        sizes[at] = 1
    return value


def _result_lanes(node: fx.Node, x: Lowered, axes: Sequence[int], value: Any = None) -> tuple[int, ...]:
    shape = value if value is not None else node.meta["val"]
    if shape.ndim == node.args[0].meta["val"].ndim:
        return x.lanes
    return tuple(a - sum(b < a for b in axes) for a in x.lanes)


def _reduction(op: str, before: str = "", after: str = "", mean: bool = False) -> Callable[[Lowerer, fx.Node], Lowered]:
    def handler(lowerer: Lowerer, node: fx.Node) -> Lowered:
        x: Lowered = lowerer.known[node.args[0]]
        axes = _axes(node, 1)
        start = Lowered(lowerer.g.emit(before, x.value), x.lanes) if before else x
        value = _reduced(lowerer, node, start, axes, op)
        if after:
            value = lowerer.g.emit(after, value)
        if mean:
            count = math.prod(node.args[0].meta["val"].shape[a] for a in axes)
            value = lowerer.g.emit("div", value, lowerer.g.constant(count))
        return Lowered(value, _result_lanes(node, x, axes))

    return handler


def _extremum(before: str = "", after: str = "") -> Callable[[Lowerer, fx.Node], Any]:
    """max and min: of everything, or along an axis, then beside positions, which nobody may ask for."""
    reduce = _reduction("max_rows", before, after)

    def handler(lowerer: Lowerer, node: fx.Node) -> Any:
        if isinstance(node.meta["val"], torch.Tensor):
            return reduce(lowerer, node)
        x: Lowered = lowerer.known[node.args[0]]
        axes, val = _axes(node, 1), node.meta["val"][0]
        value = lowerer.g.emit(before, x.value) if before else x.value
        value = _reduced(lowerer, node, Lowered(value, x.lanes), axes, "max_rows")
        value = lowerer.g.emit(after, value) if after else value
        return [Lowered(value, _result_lanes(node, x, axes, val)), None]

    return handler


def _centered(lowerer: Lowerer, node: fx.Node, x: Lowered, axes: Sequence[int]) -> tuple[Value, int]:
    """x less its mean over ``axes``, and how many elements the mean was of."""
    shape = node.args[0].meta["val"].shape
    count = math.prod(shape[a] for a in axes)
    g = lowerer.g
    mean = g.emit("div", _reduced(lowerer, node, x, axes, "sum_rows"), g.constant(count))
    return g.emit("sub", x.value, _spread(lowerer, node, x, axes, mean)), count


def _spread(lowerer: Lowerer, node: fx.Node, x: Lowered, axes: Sequence[int], value: Value) -> Value:
    """What was reduced over ``axes``, broadcast to the rows of x."""
    shape = node.args[0].meta["val"].shape
    rest = _rest(len(shape), x.lanes)
    own = tuple(1 if a in axes else shape[a] for a in rest)
    return lowerer.fit(value, own, tuple(shape[a] for a in rest))


def _variance(lowerer: Lowerer, node: fx.Node) -> Lowered:
    x: Lowered = lowerer.known[node.args[0]]
    axes = _axes(node, 1)
    centered, count = _centered(lowerer, node, x, axes)
    g = lowerer.g
    correction = node.kwargs.get("correction", 1)
    squares = Lowered(g.emit("mul", centered, centered), x.lanes)
    total = _reduced(lowerer, node, squares, axes, "sum_rows")
    value = g.emit("div", total, g.constant(count - (1 if correction is None else correction)))
    return Lowered(value, _result_lanes(node, x, axes))


def _softmax(log: bool) -> Callable[[Lowerer, fx.Node], Lowered]:
    def handler(lowerer: Lowerer, node: fx.Node) -> Lowered:
        x: Lowered = lowerer.known[node.args[0]]
        axes = _axes(node, 1)
        g = lowerer.g
        highest = g.emit("stop", _reduced(lowerer, node, x, axes, "max_rows"))
        shifted = g.emit("sub", x.value, _spread(lowerer, node, x, axes, highest))
        powers = Lowered(g.emit("exp", shifted), x.lanes)
        total = _reduced(lowerer, node, powers, axes, "sum_rows")
        if log:
            return Lowered(g.emit("sub", shifted, _spread(lowerer, node, x, axes, g.emit("log", total))), x.lanes)
        share = g.emit("reciprocal", total)
        return Lowered(g.emit("mul", powers.value, _spread(lowerer, node, x, axes, share)), x.lanes)

    return handler


def _layer_norm(lowerer: Lowerer, node: fx.Node) -> list[Lowered]:
    """native_layer_norm(x, shape, weight, bias, eps) -> (y, mean, 1 / deviation)."""
    x: Lowered = lowerer.known[node.args[0]]
    val = node.args[0].meta["val"]
    _, normalized, weight, bias, eps = node.args
    axes = list(range(val.ndim - len(normalized), val.ndim))
    g = lowerer.g
    centered, count = _centered(lowerer, node, x, axes)
    squares = Lowered(g.emit("mul", centered, centered), x.lanes)
    variance = g.emit("div", _reduced(lowerer, node, squares, axes, "sum_rows"), g.constant(count))
    scale = g.emit("rsqrt", g.emit("add", variance, g.constant(eps)))
    y = g.emit("mul", centered, _spread(lowerer, node, x, axes, scale))
    shape = tuple(s for a, s in enumerate(val.shape) if a not in x.lanes)
    for op, factor in (("mul", weight), ("add", bias)):
        if factor is not None:
            y = g.emit(op, y, lowerer.operand(factor, val.ndim, x.lanes, shape), rows=y.rows)
    return [Lowered(y, x.lanes), Lowered(scale, x.lanes), Lowered(scale, x.lanes)]


def _norm(lowerer: Lowerer, node: fx.Node) -> Lowered:
    """linalg_vector_norm of order 2."""
    if len(node.args) > 1 and node.args[1] != 2:
        raise Misfit(node, "is a norm of another order than 2")
    x: Lowered = lowerer.known[node.args[0]]
    axes = _axes(node, 2)
    squares = Lowered(lowerer.g.emit("mul", x.value, x.value), x.lanes)
    total = _reduced(lowerer, node, squares, axes, "sum_rows")
    f = Formula(lowerer.g, total.rows)
    at_zero = f("eq", total, 0)  # where torch takes 0 for the gradient
    value = f("where", at_zero, 0, f("sqrt", f("where", at_zero, 1, total)))
    return Lowered(value, _result_lanes(node, x, axes))


def _cumsum(lowerer: Lowerer, node: fx.Node) -> Lowered:
    x: Lowered = lowerer.known[node.args[0]]
    if node.meta["val"].ndim == 0:
        return x
    axis = node.args[1] % node.meta["val"].ndim
    if axis in x.lanes:
        raise Misfit(node, "sums over lanes")
    shape = node.meta["val"].shape
    rest = _rest(len(shape), x.lanes)
    sizes = [shape[a] for a in rest]
    at = torch.arange(x.value.rows).reshape(sizes).movedim(rest.index(axis), 0)
    g, running = lowerer.g, list[Value]()
    for rows in at:
        part = g.gather(x.value, rows.flatten().tolist())
        running.append(g.emit("add", running[-1], part) if running else part)
    back = torch.empty(x.value.rows, dtype=torch.int64)
    back[at.flatten()] = torch.arange(x.value.rows)
    return Lowered(g.gather(g.concat(running), back.tolist()), x.lanes)


def _band(lowerer: Lowerer, node: fx.Node) -> Lowered:
    """band_matmul(x, weight, lower, upper) with weights from outside."""
    x, weight, lower, upper = node.args
    if not lowerer.is_constant(weight) or lowerer.known[x].unfolded:
        raise Misfit(node, "has a band that changes from step to step")
    ndim, n = x.meta["val"].ndim, x.meta["val"].shape[-1]
    if ndim - 1 in lowerer.known[x].lanes:
        raise Misfit(node, "multiplies lanes")
    value = lowerer.known[x].value
    m = lowerer.matrix(Weights(weight, (0, 1), (lower + upper + 1, n)), "banded", n, n, lower=lower, upper=upper)
    parts = [lowerer.g.gather(value, range(start, start + n)) for start in range(0, value.rows, n)]
    return Lowered(lowerer.g.concat([lowerer.g.apply(m, part) for part in parts]), lowerer.known[x].lanes)


COUPLED: dict[str, Callable[[Lowerer, fx.Node], Any]] = {
    "mm": lambda lowerer, node: _product(lowerer, node, *node.args),
    "bmm": lambda lowerer, node: _product(lowerer, node, *node.args),
    "mv": lambda lowerer, node: _vector(lowerer, node, *node.args),
    "dot": _dot,
    "band_matmul": _band,
    "addmm": _with_bias(_product),
    "baddbmm": _with_bias(_product),
    "addmv": _with_bias(_vector),
    "sum": _reduction("sum_rows"),
    "mean": _reduction("sum_rows", mean=True),
    "amax": _reduction("max_rows"),
    "amin": _reduction("max_rows", before="neg", after="neg"),
    "max": _extremum(),
    "min": _extremum(before="neg", after="neg"),
    "any": _reduction("max_rows"),
    "var": _variance,
    "_softmax": _softmax(log=False),
    "_log_softmax": _softmax(log=True),
    "native_layer_norm": _layer_norm,
    "linalg_vector_norm": _norm,
    "cumsum": _cumsum,
}
"""By the operator's name without its overload."""
