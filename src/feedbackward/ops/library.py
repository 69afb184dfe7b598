"""The compiled library for torch: found, loaded once, asked which instruction set it chose; GPUs beside it."""

from __future__ import annotations

from pathlib import Path

import torch

from .. import native
from . import device


def path() -> Path:
    """Where the compiled operators lie.

    Raises:
        ImportError: They are not there, because the package was not built.
    """
    return native.path("torch")


def isa() -> str:
    """The instruction set that the kernels run on, as `native.isa`.

    Raises:
        RuntimeError: ``FEEDBACKWARD_ISA`` names a set that is unknown or that this processor lacks.
    """
    return native.isa("torch")


def operations() -> dict[str, int]:
    """The code of every instruction of the program machine."""
    return native.operations()


torch.ops.load_library(str(path()))
native.load("torch")
device.register()
