"""Run cells and time them beside a plain loop: ``python examples/cells [name ...]``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from torch.utils import _pytree as pytree

import feedbackward as fb

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cells import CELLS, Example


def milliseconds(example: Example, backend: str) -> float:
    """Forward and backward, once, after a first time."""
    cell, init, xs, parameters = example
    start = 0.0
    for _ in range(2):
        start = time.perf_counter()
        _, y = fb.scan(cell, init, xs, backend=backend)
        loss = sum(leaf.square().mean() for leaf in pytree.tree_leaves(y))
        torch.autograd.grad(loss, parameters)
    return 1e3 * (time.perf_counter() - start)


def main(names: list[str]) -> None:
    print(f"{'cell':24}{'native':>12}{'loop':>12}{'ratio':>8}      forward and backward, 32 x 1000 steps")
    for name in names or CELLS:
        example = CELLS[name](batch=32, steps=1000)
        native, loop = milliseconds(example, "native"), milliseconds(example, "eager")
        print(f"{name:24}{native:9.2f} ms{loop:9.1f} ms{loop / native:8.0f}")


if __name__ == "__main__":
    main(sys.argv[1:])
