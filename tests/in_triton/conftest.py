"""Where the kernels for GPUs are tested: on a GPU where there is one, in Triton's interpreter elsewhere.

``kernels/`` holds tests that run kernels. With a GPU they are collected here; without one, `test_interpreter.py` runs
each of its files in a process of its own, where Triton interprets every kernel (that is decided when a kernel is
defined) and the kernels stand in for the native ones on CPU tensors. What needs no run of a kernel lies beside it.
"""

from __future__ import annotations

import os

import pytest

pytest.importorskip("torch")
pytest.importorskip("triton", reason="Triton is not installed")

import torch

INTERPRETED = os.environ.get("FEEDBACKWARD_DEVICE_KERNELS") == "triton"

if not INTERPRETED and not torch.cuda.is_available():
    collect_ignore = ["kernels"]


@pytest.fixture
def device() -> torch.device:
    """Where the kernels run."""
    return torch.device("cpu" if INTERPRETED else "cuda")
