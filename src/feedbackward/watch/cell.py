"""A cell of scan watched: run eagerly, step by step, with the variables of its own function.

carry[t], y[t] = cell(carry[t-1], x[t])
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .. import reference
from ..engine.adapt import as_cell
from ..engine.arguments import Arguments, validated
from ..engine.errors import LoweringError
from ..engine.scan import scan
from ..trees import flatten
from .listing import code_of, listing_of
from .model import Check, Choice, Equation, Explanation, Limits, Quantity, Run, Track, Weight, difference
from .sentences import limits_of, plural

_VARIABLES = 12


def explain_cell_of_scan(
    cell: Callable[..., Any], init: Any, xs: Any, options: dict[str, Any], limits: Limits
) -> Explanation:
    """The explanation of ``scan(cell, init, xs, **options)``."""
    dim, length, reverse = options.get("dim", 0), options.get("length"), bool(options.get("reverse"))
    given = validated(init, xs, dim, length)
    if limits.start >= given.steps:
        raise ValueError(f"explain: start is {limits.start}, but xs has {given.steps} steps")
    listing = listing_of(cell, given, init, xs, dim)
    window = range(limits.start, min(limits.start + limits.steps, given.steps))
    y = _leaves_of_y(cell, init, xs, options)
    first = _carry_at(cell, given, window, reverse)
    names = _names(cell)
    steps = _steps(cell, given, window, reverse, first, names)
    choice, quantities = _quantities(steps, limits)
    if reverse:
        quantities = [_turned(q) for q in quantities]
    first_axis = not given.xs or dim % given.xs[0].ndim == 0
    real = [leaf.detach() if first_axis else _time_first(leaf.detach(), dim) for leaf in y]
    real = [leaf[window.start : window.stop] for leaf in real]
    check = _check(steps, real, reverse)
    track = Track("cell", tuple(quantities), reverse=reverse)
    overview = tuple(("cell", q.name) for q in _telling(quantities))[:5]
    run = Run(window.start, len(window), given.steps, choice, (track,), overview)
    lanes = listing.program.lanes if listing.program else ()
    where = f", {' × '.join(map(str, lanes))} lanes side by side" if lanes else ""
    note = (
        () if listing.program else ('The cell has no program: what is shown ran eagerly, as backend="eager" runs it.',)
    )
    return Explanation(
        title=f"fb.scan of {listing.name}",
        kind="cell",
        summary=f"{plural(given.steps, 'step')} of a cell{where}",
        run=run,
        equations=(_EQUATION,),
        weights=_weights(cell),
        notes=note,
        limits=limits_of(run),
        checks=(check,),
        channels=limits.channels,
        details=listing,
    )


_EQUATION = Equation(
    (r"\mathrm{carry}_t,\; y_t = \operatorname{cell}(\mathrm{carry}_{t-1},\, x_t)",),
    ("carry[t], y[t] = cell(carry[t-1], x[t])",),
    "The cell is one step; scan runs it over the sequence as one native loop.",
)
Named = list[tuple[str, Tensor]]


class _Step:
    """The tensors of one step by their names."""

    def __init__(self, x: Named, before: Named, variables: Named, after: Named, y: Named) -> None:
        self.parts = {"input": x, "before": before, "term": variables, "after": after, "output": y}


def _names(cell: Callable[..., Any]) -> tuple[str, str]:
    """What the cell calls its carry and its x."""
    if isinstance(cell, nn.RNNCellBase) or getattr(cell, "like_torch_cell", False):
        return "state", "x"
    try:
        called = cell.forward if isinstance(cell, nn.Module) else cell
        parameters = [p for p in inspect.signature(called).parameters.values() if p.kind is not p.VAR_KEYWORD]
    except (TypeError, ValueError):
        return "carry", "x"
    names = [p.name for p in parameters[:2]]
    return (names[0], names[1]) if len(names) == 2 else ("carry", "x")


def _named(prefix: str, tree: Any, suffix: str = "") -> Named:
    pairs, _ = pytree.tree_flatten_with_path(tree)
    return [(f"{prefix}{pytree.keystr(path)}{suffix}", leaf) for path, leaf in pairs if leaf is not None]


def _carry_at(cell: Callable[..., Any], given: Arguments, window: range, reverse: bool) -> Any:
    """The carry before the first step that is shown, by scan itself."""
    earlier = slice(window.stop, None) if reverse else slice(0, window.start)
    xs = [x[earlier] for x in given.xs]
    count = len(range(given.steps)[earlier])
    carry = given.carry_tree.unflatten(given.carry)
    if not count:
        return carry
    arguments = (carry, given.x_tree.unflatten(xs))
    try:
        return scan(cell, *arguments, reverse=reverse, length=count)[0]
    except LoweringError:
        return reference.scan(as_cell(cell), *arguments, reverse=reverse, length=count)[0]


def _leaves_of_y(cell: Callable[..., Any], init: Any, xs: Any, options: dict[str, Any]) -> list[Tensor]:
    """The leaves of y as scan returns them; eager where the cell has no program."""
    try:
        return flatten(scan(cell, init, xs, **options)[1])[0]
    except LoweringError:
        return flatten(scan(cell, init, xs, **{**options, "backend": "eager"})[1])[0]


def _time_first(y: Tensor, dim: int) -> Tensor:
    """A leaf of y as scan computed it; it puts time where xs has it, as far as y has such an axis."""
    return y.movedim(dim if dim < 0 else min(dim, y.ndim - 1), 0)


def _steps(
    cell: Callable[..., Any], given: Arguments, window: range, reverse: bool, carry: Any, names: tuple[str, str]
) -> list[_Step]:
    """Every step that is shown, in the order in which they run."""
    step, code = as_cell(cell), getattr(code_of(cell), "__code__", None)
    closed, output = getattr(code, "co_freevars", ()), "y" if names[1] != "y" else "output"
    found = []
    for t in reversed(window) if reverse else window:
        x = given.x_tree.unflatten([leaf[t] for leaf in given.xs])
        (after, y), variables = _with_variables(code, step, carry, x)
        own = {id(leaf) for tree in (carry, x, after, y) for leaf in flatten(tree)[0]}
        inner = [
            (name, value)
            for name, value in variables.items()
            if isinstance(value, Tensor) and id(value) not in own and name not in (*closed, *names, output)
        ]
        found.append(
            _Step(
                _named(names[1], x),
                _named(names[0], carry, " before"),
                inner[:_VARIABLES],
                _named(names[0], after, " after"),
                _named(output, y),
            )
        )
        carry = after
    return found


def _with_variables(code: Any, step: Callable[..., Any], carry: Any, x: Any) -> tuple[Any, dict[str, Any]]:
    """What a step returns, and the variables of its function when it does."""
    variables: dict[str, Any] = {}

    def watch(frame: Any, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is code:
            variables.update(frame.f_locals)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        result = step(carry, x)
    finally:
        sys.setprofile(before)
    return result, variables


_MEANINGS = {
    "input": "read at this step",
    "before": "what the step before left",
    "term": "a variable of the cell",
    "after": "what this step leaves",
    "output": "what goes out",
}


def _quantities(steps: list[_Step], limits: Limits) -> tuple[tuple[Choice, ...], list[Quantity]]:
    """All tensors over all steps; those with a common first axis, a batch, can be looked at element by element."""
    first = steps[0].parts
    batch = _batch([t for role in ("before", "input", "output") for _, t in first[role]])
    shown = min(batch, limits.elements)
    quantities = []
    for role in ("input", "before", "term", "after", "output"):
        for name, like in first[role]:
            columns = [dict(step.parts[role]).get(name) for step in steps]
            if any(c is None or c.shape != like.shape for c in columns):
                continue  # a variable that is not there at every step
            values = torch.stack([c.detach() for c in columns if c is not None])
            values = values if values.dtype in (torch.float32, torch.float64) else values.to(torch.float64)
            shape = tuple(like.shape)
            if batch:
                has_batch = like.ndim > 1 and like.shape[0] == batch
                values = values[:, :shown] if has_batch else values.unsqueeze(1).expand(-1, shown, *shape)
                shape = shape[1:] if has_batch else shape
            lead = (len(steps), shown) if batch else (len(steps),)
            quantities.append(Quantity(name, "", _MEANINGS[role], role, values.reshape(*lead, -1), shape=shape or (1,)))
    choices = (Choice("batch element", tuple(range(shown)), batch),) if batch else ()
    return choices, quantities


def _telling(quantities: list[Quantity]) -> list[Quantity]:
    """What comes in, what is carried and what goes out, but each once: many cells give out their carry."""
    told: list[Quantity] = []
    for q in quantities:
        if q.role in ("input", "after") or (
            q.role == "output" and not any(t.values.equal(q.values) for t in told if t.role == "after")
        ):
            told.append(q)
    return told


def _batch(tensors: list[Tensor]) -> int:
    """The size of the first axis that all have beside others; 0 where there is none."""
    sizes = {int(t.shape[0]) if t.ndim > 1 else 0 for t in tensors}
    return sizes.pop() if len(sizes) == 1 else 0


def _turned(q: Quantity) -> Quantity:
    """In the order of time."""
    return Quantity(q.name, q.latex, q.meaning, q.role, q.values.flip(0), q.group, q.labels, q.shape)


def _check(steps: list[_Step], real: list[Tensor], reverse: bool) -> Check:
    ordered = steps[::-1] if reverse else steps
    worst, bound = 0.0, 0.0
    for n, leaf in enumerate(real):
        mine = torch.stack([step.parts["output"][n][1] for step in ordered])
        off = difference(mine, leaf) if leaf.dtype.is_floating_point else float((mine != leaf).any())
        worst = off if off != off or off > worst else worst
        if leaf.dtype.is_floating_point:
            size = max([1.0, *(float(t.abs().nan_to_num(0, 0, 0).max()) for _, t in steps[-1].parts["after"])])
            size = max(size, float(leaf.abs().nan_to_num(0, 0, 0).max()))
            bound = max(bound, 16 * torch.finfo(leaf.dtype).eps * size * (len(steps) + 8))
    return Check("every y shown, computed by the cell itself step by step, against what scan returned", worst, bound)


def _weights(cell: Callable[..., Any]) -> tuple[Weight, ...]:
    """The tensors that a cell closes over, by the names that they have in it."""
    if isinstance(cell, nn.Module):
        return tuple(Weight(n, (), "a parameter of the cell", p.detach()) for n, p in cell.named_parameters())
    try:
        closed = inspect.getclosurevars(code_of(cell))
    except (TypeError, ValueError):
        return ()
    found = []
    for name, value in {**closed.globals, **closed.nonlocals}.items():
        if isinstance(value, Tensor):
            found.append(Weight(name, (), "what the cell closes over", value.detach()))
        elif isinstance(value, nn.Module):
            found += [
                Weight(f"{name}.{n}", (), f"a parameter of {name}", p.detach()) for n, p in value.named_parameters()
            ]
    return tuple(w for w in found if w.values.dtype in (torch.float32, torch.float64))
