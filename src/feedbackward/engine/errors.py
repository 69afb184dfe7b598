"""What a cell does that no program can: said with the operator, the line of the cell, and the remedy."""

from __future__ import annotations

import traceback
from typing import Any


class LoweringError(NotImplementedError):
    """A cell that cannot run natively; ``backend="eager"`` runs it step by step."""


def refusal(what: str, remedy: str, where: str = "") -> LoweringError:
    """The error for one operation of a cell."""
    place = f" at {where}" if where else ""
    return LoweringError(f'scan: {what}{place}; {remedy}; backend="eager" would run the cell as it is, slowly')


def line_of(node: Any) -> str:
    """The line of the user's code that made a node of a traced graph, or nothing."""
    frames = [line.strip() for line in (node.meta.get("stack_trace") or "").splitlines() if line.strip()]
    files = [i for i, line in enumerate(frames) if line.startswith("File ")]
    for i in reversed(files):
        if "/torch/" not in frames[i] and "/feedbackward/engine/" not in frames[i]:
            return _place(frames[i], frames[i + 1] if i + 1 < len(frames) else "")
    return ""


def line_of_exception(error: BaseException) -> str:
    """The innermost line of the user's code on the way to an exception."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if "/torch/" not in frame.filename and "/feedbackward/engine/" not in frame.filename:
            return f'{frame.filename}:{frame.lineno} "{frame.line}"'
    return ""


def _place(file_line: str, code: str) -> str:
    parts = file_line.removeprefix("File ").split(", ")
    return f'{parts[0].strip(chr(34))}:{parts[1].removeprefix("line ")} "{code}"'
