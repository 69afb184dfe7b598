"""The tests of the kernels without a GPU: every file of kernels/ in a process where Triton interprets them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

FILES = sorted((Path(__file__).parent / "kernels").glob("test_*.py"))


def test_there_is_a_gpu_where_one_is_required():
    required = os.environ.get("FEEDBACKWARD_REQUIRE_GPU") == "1"
    there = torch.cuda.is_available() and os.environ.get("FEEDBACKWARD_TEST_DEVICE") != "pretended"
    assert there or not required, "FEEDBACKWARD_REQUIRE_GPU=1, but torch finds no GPU"


def test_there_are_kernels_to_test():
    assert FILES


@pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU runs them")
@pytest.mark.skipif(bool(torch.version.cuda or torch.version.hip), reason="a pretended GPU needs torch for the CPU")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_in_the_interpreter(file):
    environment = os.environ | {"TRITON_INTERPRET": "1", "FEEDBACKWARD_TEST_DEVICE": "pretended"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]
