"""Scans that one process runs for one instruction set: cells, operators, shapes, against the plain loop.

``python scan_battery.py`` exits with an error at the first wrong number; it prints a digest of all bits.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import scanning
import torch
from scan_operators import DOMAINS, OPERATORS, anything

import feedbackward as fb

from cells import CELLS  # isort: skip (scanning puts the examples on the path)

digest = hashlib.sha256()


def record(outcome: scanning.Outcome) -> None:
    for tensor in (*outcome.values, *outcome.gradients):
        digest.update(tensor.detach().contiguous().numpy().tobytes())


def cells() -> None:
    """In float64, and in float32 against float64; torch's own layer norm has other bits on other numbers of threads."""
    for name, make in CELLS.items():
        normalized = "norm" in name
        found = []
        for dtype in (torch.float64, torch.float32):
            torch.manual_seed(1)
            found.append(scanning.outcome(*make(batch=33, steps=6, dtype=dtype), check=False))
        torch.manual_seed(1)
        truth = scanning.outcome(*make(batch=33, steps=6, dtype=torch.float64), backend="eager")
        for mine, dtype in zip(found, (torch.float64, torch.float32), strict=True):
            scanning.assert_same(mine, truth, dtype, 6, name, 10.0 if normalized else 1.0)
            record(mine._replace(gradients=[]) if normalized else mine)


def operators() -> None:
    """All of them, some in one cell; torch has constants of float32 in the derivatives of two of them."""
    names = list(OPERATORS)
    for group in [names[i : i + 16] for i in range(0, len(names), 16)]:

        def cell(carry: Any, x: Any, group: list[str] = group) -> Any:
            results = []
            for name in group:
                domain = DOMAINS.get(name, anything)
                result = OPERATORS[name](domain(carry[0]), domain(carry[1]))
                results.append(result if result.dtype.is_floating_point else result.to(x[0].dtype))
            return x, results

        init = tuple(scanning.randn(3, 4) for _ in range(2))
        xs = tuple(scanning.randn(7, 3, 4) for _ in range(2))
        conditioning = 1e9 if {"celu", "hardsigmoid"} & {*group} else 1e3
        record(scanning.check(cell, init, xs, conditioning=conditioning))


def shapes() -> None:
    for dtype in (torch.float32, torch.float64):
        for lanes in ((), (7,), (17,), (1001,)):
            a = scanning.randn(dtype=dtype)
            for steps in (1, 70):
                init, xs = scanning.randn(*lanes, dtype=dtype), scanning.randn(steps, *lanes, dtype=dtype)
                record(scanning.check(scanning.leaky(a), init, xs, [a]))
        for batch, hidden in ((1, 5), (3, 33), (17, 65)):
            w = scanning.randn(hidden, hidden, dtype=dtype, scale=0.5 / hidden**0.5)
            init, xs = scanning.randn(batch, hidden, dtype=dtype), scanning.randn(9, batch, hidden, dtype=dtype)
            record(scanning.check(lambda h, x, w=w: ((y := torch.tanh(h @ w + x)), y), init, xs, [w], conditioning=4))
            band = scanning.randn(4, hidden, dtype=dtype, scale=0.2)
            cell = lambda h, x, m=band: ((y := torch.tanh(fb.band_matmul(h, m, 2, 1) + x)), y)  # noqa: E731
            record(scanning.check(cell, init, xs, [band], conditioning=4))


if __name__ == "__main__":
    torch.manual_seed(0)
    for part in (cells, operators, shapes):
        part()
        sys.stdout.flush()
    print(digest.hexdigest())
