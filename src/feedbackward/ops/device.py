"""Where an operator runs on a GPU: its launcher in `feedbackward.triton`, imported when the first CUDA tensor comes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch

# operator: module of feedbackward.triton, function in it
LAUNCHERS = {
    "band_outer": ("band", "outer"),
    "cascade": ("cascade", "forward"),
    "cascade_backward": ("cascade", "backward"),
    "linear_recurrence": ("linear", "forward"),
    "linear_recurrence_backward": ("linear", "backward"),
}


def register() -> None:
    """Give every operator that has a launcher a kernel for CUDA tensors."""
    library = torch.library.Library("feedbackward", "IMPL")
    _libraries.append(library)
    for name, (module, function) in LAUNCHERS.items():
        library.impl(name, late(name, module, function), "CUDA")


def takes(tensor: torch.Tensor) -> bool:
    """Whether the launchers compute with a tensor."""
    return tensor.device.type == "cuda"


def late(name: str, module: str, function: str) -> Callable[..., Any]:
    """A launcher that is imported when it is called; ``name`` is what an error calls it."""
    launcher: list[Callable[..., Any]] = []

    def call(*arguments: Any) -> Any:
        if not launcher:
            try:
                launcher.append(getattr(importlib.import_module(f"feedbackward.triton.{module}"), function))
            except ModuleNotFoundError as error:
                if error.name != "triton":
                    raise
                raise ImportError(
                    f"feedbackward: {name} runs on CUDA tensors through Triton, which is not installed; it comes with "
                    "torch's builds for CUDA, and `pip install triton` gets it; or move the tensors with .cpu()"
                ) from None
        return launcher[0](*arguments)

    return call


_libraries: list[torch.library.Library] = []  # what they registered lives as long as they do
