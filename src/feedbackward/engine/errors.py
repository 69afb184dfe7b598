"""What a cell does that no program can: said with the operator, the line of the cell, and the remedy."""

from __future__ import annotations

import linecache
import sys
import traceback
from pathlib import Path
from types import CodeType
from typing import Any

import torch

_LIBRARIES = tuple(str(Path(file).parent) for file in (torch.__file__, Path(__file__).parent))


class LoweringError(NotImplementedError):
    """A cell that cannot run natively; ``backend="eager"`` runs it step by step."""


def refusal(what: str, remedy: str, where: str = "") -> LoweringError:
    """The error for one operation of a cell."""
    place = f" at {where}" if where else ""
    return LoweringError(f'scan: {what}{place}; {remedy}; backend="eager" would run the cell as it is, slowly')


def line_of(node: Any) -> str:
    """The line of the user's code that made a node of a traced graph, or nothing."""
    return node.meta.get("stack_trace") or ""


def line_now() -> str:
    """The innermost line of the user's code that is running."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_LIBRARIES):
        frame = frame.f_back
    return "" if frame is None else _place(frame.f_code.co_filename, frame.f_lineno)


def line_of_exception(error: BaseException) -> str:
    """The innermost line of the user's code on the way to an exception."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((*_LIBRARIES, "<")):
            return _place(frame.filename, frame.lineno or 0)
    return ""


def line_of_function(function: Any) -> str:
    """Where a function is defined."""
    code = getattr(getattr(function, "forward", function), "__code__", None)
    return _place(code.co_filename, code.co_firstlineno) if isinstance(code, CodeType) else ""


def _place(file: str, line: int) -> str:
    return f'{file}:{line} "{linecache.getline(file, line).strip()}"'
