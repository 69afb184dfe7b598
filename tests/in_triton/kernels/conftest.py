"""The registry of cases is that of all other tests; and an interpreter that looks around less."""

from __future__ import annotations

import inspect
import sys
import warnings
from pathlib import Path

import pytest
import triton
import triton.language as tl

sys.path.insert(0, str(Path(__file__).parents[2]))


def _builtins(package):
    return [(name, member) for name, member in inspect.getmembers(package) if tl.core.is_builtin(member)]


@pytest.fixture(autouse=True)
def quick_calls(monkeypatch):
    """Every call of a device function searches triton.language for what to patch, which takes most of the time.

    It finds the same things every time, so they are searched for once.
    """
    if triton.knobs.runtime.interpret:
        from triton.runtime import interpreter

        found = {}

        def patch(package, builder, scope):
            if package not in found:
                found[package] = _builtins(package)
            for name, member in found[package]:
                if getattr(package, name) is member:
                    interpreter._patch_attr(package, name, member, builder, scope)

        monkeypatch.setattr(interpreter, "_patch_builtin", patch)


@pytest.fixture(autouse=True)
def numbers_of_nobody():
    """Lanes that fill a block up may divide by zero, which NumPy tells, in the interpreter, in any thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
