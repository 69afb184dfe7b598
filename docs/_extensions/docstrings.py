"""Docstrings as they are written, for a terminal: nobody escapes an asterisk there.

- An indented block below the text is an equation, and keeps its line breaks and symbols.
- In text, the asterisks and bars of ``(*shape, n)`` and ``|a2| < 1`` are themselves, and so is the underscore that ends
  the name of a method which works in place. Emphasis is not used in docstrings.
- A function has one signature, that of its definition: overloads are for type checkers.
"""

from __future__ import annotations

import pkgutil
import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

import feedbackward

_CODE = re.compile(r"(``.+?``|:\w+:`.+?`|`.+?`)")
_SECTION = re.compile(r"[A-Z][a-z]+:")  # Args:, Returns:, ...
_MARKUP = re.compile(r"(?<!\\)([*|]|(?<=\w)_(?!\w))")


def as_written(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Rewrite the lines of one docstring, before napoleon turns its sections into fields."""
    kept: list[str] = []
    margin = ""  # the last line of text that was not indented
    literal = example = False
    for line in lines:
        indented = line.startswith("    ")
        if not line:
            example = False
        elif not indented:
            margin, literal = line, _opens_literal(line)
        elif kept and not kept[-1] and not literal and not _SECTION.fullmatch(margin) and not margin.startswith(">>>"):
            literal = True
            kept += [".. code-block:: text", ""]
        example = example or line.lstrip().startswith(">>>")
        kept.append(line if (literal and indented) or example else _escaped(line))
    lines[:] = kept


def _opens_literal(line: str) -> bool:
    """Whether reStructuredText takes the next indented block as literal."""
    return line.endswith("::") or line.startswith(".. ")


def _escaped(line: str) -> str:
    parts = _CODE.split(line)
    return "".join(part if index % 2 else _MARKUP.sub(r"\\\1", part) for index, part in enumerate(parts))


def forget_overloads(app: Sphinx) -> None:
    """Make autodoc show the signature of the definition; the analysis of a module is made once, and kept."""
    for folder in ("filters", "nn"):
        for module in pkgutil.walk_packages([f"{feedbackward.__path__[0]}/{folder}"], f"feedbackward.{folder}."):
            analyzer = ModuleAnalyzer.for_module(module.name)
            analyzer.analyze()
            analyzer.overloads.clear()


def setup(app: Sphinx) -> dict[str, Any]:
    """Run before napoleon."""
    app.connect("builder-inited", forget_overloads)
    app.connect("autodoc-process-docstring", as_written, priority=400)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
