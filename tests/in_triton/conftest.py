"""Where the kernels for GPUs are tested: on a GPU where there is one, in Triton's interpreter elsewhere.

``kernels/`` holds tests that run kernels. With a GPU they are collected here; without one, `test_interpreter.py` runs
each of its files in a process of its own, on tensors of a pretended GPU, where Triton interprets every kernel (that is
decided when a kernel is defined). What needs no run of a kernel lies beside it.
"""

from __future__ import annotations

import os

import pytest

pytest.importorskip("torch")
pytest.importorskip("triton", reason="Triton is not installed")

import torch

PRETENDED = os.environ.get("FEEDBACKWARD_TEST_DEVICE") == "pretended"
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"

if not torch.cuda.is_available() or (PRETENDED and not INTERPRETED):
    collect_ignore = ["kernels"]


@pytest.fixture
def device() -> torch.device:
    """Where the kernels run."""
    return torch.device("cuda")
