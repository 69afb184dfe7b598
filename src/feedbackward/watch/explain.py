"""The door: whatever runs a recurrence, and its arguments, becomes an explanation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .model import Explanation, Limits


def explain(
    f: Callable[..., Any],
    *args: Any,
    start: int = 0,
    steps: int = 64,
    elements: int = 4,
    filters: int = 16,
    channels: int = 64,
    sample_rate: float | None = None,
    **kwargs: Any,
) -> Explanation:
    """Watch the call ``f(*args, **kwargs)`` run: which element, which equation, which numbers, step by step.

    Printed, the result is a summary; in a notebook it is a page that plays; ``.save("page.html")`` writes that page,
    which needs no network; ``.steps`` are the numbers. Every step shown is computed again, term by term in plain
    PyTorch, from the states of the real run, and held against what the real run has after it (``.checks``). No gradient
    is recorded, and dropout is off.

    Args:
        f: What is called: a recurrent module of `feedbackward.nn` or torch.nn, or one of their cells; `rnn`, `gru` or
            `lstm`; `lfilter` or `sosfilt`, or a filter module of `feedbackward.nn`; `linear_recurrence`; `scan`; or a
            cell of scan itself, with the other arguments of `scan`: ``explain(cell, init, xs)``. Filters and linear
            recurrences may be complex.
        args: Its arguments.
        start: The first step to show.
        steps: How many steps to show.
        elements: How many elements of a batch to show.
        filters: How many filters of a bank to show in full.
        channels: How many channels of a vector to show on the page, the first ones.
        sample_rate: Of the signal of a filter or of a linear recurrence in Hz, for the axes of its response. None: that
            of the module, or frequencies in cycles per sample.
        kwargs: More of its arguments.

    Returns:
        The explanation.

    Raises:
        TypeError: f is nothing that can be watched.
        ValueError: A limit is not positive, or there is no step to show; and what f itself raises.

    Example:
        >>> import torch, feedbackward as fb
        >>> watched = fb.explain(fb.nn.RNN(4, 8, num_layers=2), torch.randn(10, 3, 4))
        >>> step = watched.steps[6]
        >>> list(step["layer 1"])
        ['x', 'h before', 'W_ih x', 'b_ih', 'W_hh h', 'b_hh', 'a', 'h after']
        >>> torch.equal(step["layer 1"]["x"], step["layer 0"]["h after"])
        True
        >>> watched.checks[0].holds
        True
        >>> watched = fb.explain(fb.linear_recurrence, 0.5j, torch.ones(8))  # what each x still has in h[2]
        >>> watched.details.weights[2, 0, 0, 1:4]
        tensor([-0.2500+0.0000j,  0.0000+0.5000j,  1.0000+0.0000j])
    """
    limits = Limits(start, steps, elements, filters, channels)
    for name, value in vars(limits).items():
        least = 0 if name == "start" else 1
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"explain: {name} is {value!r}, expected an integer of at least {least}")
    with torch.no_grad():
        return _explained(f, args, kwargs, limits, sample_rate)


def _explained(f: Any, args: Any, kwargs: Any, limits: Limits, sample_rate: float | None) -> Explanation:
    from ..engine.scan import scan
    from ..filters.linear import linear_recurrence
    from . import call, filter_call
    from .cell import explain_cell_of_scan
    from .filter import explain_filter
    from .layer import explain_layer
    from .recurrence import explain_recurrence
    from .recurrence_call import of_call

    if call.is_recurrent(f):
        return explain_layer(call.of_module(f, args, kwargs), limits)
    if f in call.FUNCTIONS.values():
        return explain_layer(call.of_function(f, args, kwargs), limits)
    if isinstance(f, filter_call.MODULES):
        return explain_filter(filter_call.of_module(f, args, kwargs, limits, sample_rate), limits)
    if f in filter_call.FUNCTIONS:
        return explain_filter(filter_call.of_function(f, args, kwargs, limits, sample_rate), limits)
    if f is linear_recurrence:
        return explain_recurrence(of_call(args, kwargs, limits, sample_rate), limits)
    if isinstance(f, call.CELLS) and not _is_scanned(args, kwargs):
        return explain_layer(call.of_cell(f, args, kwargs), limits)
    if f is not scan and not isinstance(f, call.CELLS) and not _is_cell(f, args, kwargs):
        what = getattr(f, "__name__", None) or f"a {type(f).__name__}"
        raise TypeError(
            f"explain: f is {what}, expected a recurrent or filter module, lfilter, sosfilt, linear_recurrence, rnn, "
            "gru, lstm, scan, or a cell of scan with its init and xs"
        )
    given = call.bound(scan, args if f is scan else (f, *args), kwargs, "fb.scan")
    cell, init, xs = (given.pop(name) for name in ("cell", "init", "xs"))
    if isinstance(cell, call.CELLS) and isinstance(xs, Tensor) and not given.get("reverse"):
        return explain_layer(call.of_scan(cell, init, xs, given), limits)
    return explain_cell_of_scan(cell, init, xs, given, limits)


def _is_scanned(args: Any, kwargs: Any) -> bool:
    """Whether a cell of torch.nn is given ``(init, xs)``, whose xs has one axis more, and not ``(input, hx)``."""
    if {"init", "xs"} & set(kwargs):
        return True
    if len(args) < 2 or not isinstance(args[1], Tensor):
        return False
    first = args[0][0] if isinstance(args[0], (tuple, list)) else args[0]
    return isinstance(first, Tensor) and args[1].ndim == first.ndim + 1


def _is_cell(f: Any, args: Any, kwargs: Any) -> bool:
    """Whether f can be a cell of scan that is given ``(init, xs)``, and is no function of ours."""
    home = getattr(f, "__module__", None) or type(f).__module__
    return callable(f) and len(args) + len({"init", "xs"} & set(kwargs)) == 2 and not home.startswith("feedbackward.")
