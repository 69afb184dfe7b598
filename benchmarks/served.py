"""A peer in an environment of its own: ``python -m benchmarks.served MODULE FUNCTION INPUTS OUTPUTS``.

Its frameworks need not be those of the process that measures. It reads its inputs from a file, and then, for every line
that it is sent, makes one call and answers with a line. The first call leaves its outputs in a file.
"""

from __future__ import annotations

import importlib
import sys

import numpy as np


def serve(module: str, function: str, inputs: str, outputs: str) -> None:
    """Make the calls that are asked for, until nobody asks any more."""
    with np.load(inputs) as given:
        call = getattr(importlib.import_module(module), function)(dict(given))
    first = True
    for _ in sys.stdin:
        results = call()
        if first:
            np.savez(outputs, *(np.asarray(result) for result in results))
            first = False
        del results
        print("done", flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
