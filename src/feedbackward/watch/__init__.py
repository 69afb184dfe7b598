"""Watch a recurrence run: what every step reads, computes and leaves, as data, in a terminal and as a page.

`explain` is the door (`feedbackward.explain`). A call becomes an `Explanation` (``model.py``): a layer by ``layer.py``,
a filter by ``filter.py``, a linear recurrence by ``recurrence.py``, a cell of `scan` by ``cell.py``. ``terminal.py``
and ``page.py`` show it.
"""

from .model import Axes, Check, Choice, Equation, Explanation, Limits, Quantity, Run, Step, Track, Weight

__all__ = [
    "Axes",
    "Check",
    "Choice",
    "Equation",
    "Explanation",
    "Limits",
    "Quantity",
    "Run",
    "Step",
    "Track",
    "Weight",
]
