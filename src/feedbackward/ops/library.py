"""The compiled library: found, loaded once, asked which instruction set it chose."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

import torch

import feedbackward

_FILE = "feedbackward_torch.so"


@functools.cache
def path() -> Path:
    """Where the compiled operators lie.

    Raises:
        ImportError: They are not there, because the package was not built.
    """
    for folder in feedbackward.__path__:
        if (library := Path(folder) / "lib" / _FILE).exists():
            return library
    raise ImportError(
        f"feedbackward: {_FILE} is not in {', '.join(feedbackward.__path__)}: the package was not built; run "
        "`pip install --no-build-isolation .` in a checkout, or install a wheel."
    )


@functools.cache
def isa() -> str:
    """The instruction set that the kernels run on: ``"avx512"``, ``"avx2"`` or ``"baseline"``.

    The environment variable ``FEEDBACKWARD_ISA``, read once, forces one of them.

    Raises:
        RuntimeError: ``FEEDBACKWARD_ISA`` names a set that is unknown or that this processor lacks.
    """
    name_of = ctypes.CDLL(str(path())).fb_isa
    name_of.restype = ctypes.c_char_p
    name = name_of()
    if name is None:
        raise RuntimeError(
            f"FEEDBACKWARD_ISA is {os.environ.get('FEEDBACKWARD_ISA')!r}, expected avx512, avx2 or baseline, "
            "and one that this processor has"
        )
    return str(name.decode())


@functools.cache
def operations() -> dict[str, int]:
    """The code of every instruction of the program machine."""
    names = ctypes.CDLL(str(path())).fb_operations
    names.restype = ctypes.c_char_p
    return {name.decode(): code for code, name in enumerate(names().split())}


torch.ops.load_library(str(path()))
isa()
