"""Where every line of a cell runs: once, over the whole sequence at once, or in the loop; beside it, the program."""

from __future__ import annotations

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import fx, nn

from ..engine.adapt import as_cell
from ..engine.arguments import Arguments
from ..engine.errors import LoweringError, line_of
from ..engine.explain import CellProgram, explain_cell
from ..engine.lower import LOOP, OUTSIDE, SEQUENCE, dependencies, lower
from ..engine.trace import Trace, trace

if TYPE_CHECKING:
    from rich.console import RenderableType

WHERE = {LOOP: "loop", SEQUENCE: "sequence", OUTSIDE: "once"}
_PLACE = re.compile(r'^(.*):(\d+) "(.*)"$', re.DOTALL)


@dataclass(frozen=True)
class Line:
    """A line of the user's.

    Attributes:
        number: In its file.
        text: As it is written, without the indentation that all lines share.
        where: Which of `WHERE` its operators are.
    """

    number: int
    text: str
    where: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """A cell, and what became of it.

    Attributes:
        name: Of the cell.
        file: Where it is written, without folders; nothing where nobody knows.
        lines: Its source.
        others: Lines of other functions that it calls.
        program: What runs, or None.
        refusal: Why there is no program.
    """

    name: str
    file: str
    lines: tuple[Line, ...]
    others: tuple[Line, ...]
    program: CellProgram | None
    refusal: str = ""

    def terminal(self) -> Iterator[RenderableType]:
        """The source with its places, then the program."""
        from rich.text import Text

        from .terminal import table_of

        if self.lines:
            table = table_of(", ".join(filter(None, (self.name, self.file))), "", "line", "runs")
            for line in (*self.lines, *self.others):
                table.add_row(str(line.number), Text(line.text), ", ".join(line.where))
            yield table
        yield Text(str(self.program) if self.program else self.refusal)

    def page_data(self) -> dict[str, Any]:
        """Nothing: the page has it as text."""
        return {}


def code_of(cell: Callable[..., Any]) -> Any:
    """The function that a user wrote: of a module its forward, of a partial what it completes."""
    while isinstance(cell, functools.partial):
        cell = cell.func
    if isinstance(cell, nn.Module):
        cell = cell.forward
    elif not inspect.isfunction(cell) and not inspect.ismethod(cell):
        cell = getattr(cell, "__call__", cell)  # noqa: B004
    return inspect.unwrap(getattr(cell, "__func__", cell))


def _places(traced: Trace) -> dict[fx.Node, str]:
    """Where every operator of a traced cell runs: the loop computes what is not fed into it."""
    kind, lowering = dependencies(traced), lower(traced)
    fed: list[fx.Node] = [feed.node for feed in (*lowering.held, *lowering.sequences)]
    fed += [weights.node for weights in lowering.matrices]
    fed += [output for output in lowering.outputs if isinstance(output, fx.Node)]
    outside, (ends,) = _with_ancestors(fed), (n for n in traced.module.graph.nodes if n.op == "output")
    return {
        node: WHERE[kind[node] if node in outside else LOOP]
        for node in _with_ancestors([ends])
        if node.op == "call_function"
    }


def _with_ancestors(nodes: Sequence[fx.Node]) -> set[fx.Node]:
    found, stack = set[fx.Node](), list(nodes)
    while stack:
        if (node := stack.pop()) not in found:
            found.add(node)
            stack += node.all_input_nodes
    return found


def listing_of(cell: Callable[..., Any], given: Arguments, init: Any, xs: Any, dim: int) -> Listing:
    """The listing of a cell with these arguments."""
    function = code_of(cell)
    name = getattr(cell, "__qualname__", type(cell).__name__).replace("<locals>.", "")
    program, refusal = None, ""
    places: dict[tuple[str, int], set[str]] = {}
    texts: dict[tuple[str, int], str] = {}
    try:
        program = explain_cell(cell, init, xs, dim=dim, length=None if given.xs else given.steps)
        form = given.form
        traced = trace(as_cell(cell), form.carry, form.carry_tree, form.x, form.x_tree, device=form.device)
        for node, where in _places(traced).items():
            if match := _PLACE.match(line_of(node)):
                place = match[1], int(match[2])
                places.setdefault(place, set()).add(where)
                texts[place] = match[3]
    except LoweringError as error:
        if "eager" not in str(error):  # nothing runs such a cell
            raise
        refusal = str(error)
    try:
        source, first = inspect.getsourcelines(function)
        file = inspect.getsourcefile(function) or ""
    except (OSError, TypeError):
        source, first, file = [], 0, ""
    order = list(WHERE.values())
    numbers = range(first, first + len(source))
    shown = textwrap.dedent("".join(source)).splitlines()
    lines = [
        Line(n, text, tuple(sorted(places.get((file, n), ()), key=order.index)))
        for n, text in zip(numbers, shown, strict=False)
    ]
    others = [
        Line(place[1], texts[place], tuple(sorted(where, key=order.index)))
        for place, where in sorted(places.items())
        if place[0] != file or place[1] not in numbers
    ]
    return Listing(name, _shown_name(file), tuple(lines), tuple(others), program, refusal)


def _shown_name(file: str) -> str:
    """The name of a file; nothing for what was typed, or for the temporary file of a notebook's cell."""
    path = Path(file)
    return "" if file.startswith("<") or path.parent.name.startswith("ipykernel_") else path.name
