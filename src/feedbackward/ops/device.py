"""Where an operator runs on a GPU: its launcher in `feedbackward.triton`, imported when the first CUDA tensor comes.

With ``FEEDBACKWARD_DEVICE_KERNELS=triton`` the same launchers stand in for the native kernels on CPU tensors too. That
is how they are tested without a GPU: Triton's interpreter (``TRITON_INTERPRET=1``) runs their kernels on CPU memory.
"""

from __future__ import annotations

import importlib
import os
import warnings
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
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*Overriding a previously registered kernel")
        for name, (module, function) in LAUNCHERS.items():
            for device in ("CUDA", "CPU") if _stands_in else ("CUDA",):
                library.impl(name, late(name, module, function), device)


def _on_cpu() -> bool:
    """Whether the launchers stand in for the native kernels.

    Raises:
        RuntimeError: ``FEEDBACKWARD_DEVICE_KERNELS`` is neither ``native`` nor ``triton``, or it is ``triton`` without
            the interpreter.
    """
    chosen = os.environ.get("FEEDBACKWARD_DEVICE_KERNELS", "native")
    if chosen not in ("native", "triton"):
        raise RuntimeError(f"FEEDBACKWARD_DEVICE_KERNELS is {chosen!r}, expected 'native' or 'triton'")
    if chosen == "triton" and os.environ.get("TRITON_INTERPRET") != "1":
        raise RuntimeError(
            "FEEDBACKWARD_DEVICE_KERNELS=triton runs on the CPU in Triton's interpreter alone: set "
            "TRITON_INTERPRET=1 as well"
        )
    return chosen == "triton"


def takes(tensor: torch.Tensor) -> bool:
    """Whether the launchers compute with a tensor."""
    return tensor.device.type == "cuda" or _stands_in


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
_stands_in = _on_cpu()
