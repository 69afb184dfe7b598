"""The same computations, written as each library's user would write them."""

from __future__ import annotations

import importlib

from ..case import Build, Call, Inputs


def peer(module: str, function: str) -> Build:
    """A peer whose module is imported when it is built, so that a missing library is one row's reason, no error."""

    def build(inputs: Inputs) -> Call:
        implementation: Build = getattr(importlib.import_module(f".{module}", __name__), function)
        return implementation(inputs)

    return build
