"""A part of the suite on tensors of a pretended GPU; `make test-gpu DEVICE=pretended` runs all of it there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
FILES = (
    "test_default_device test_sosfilt test_filtfilt test_band test_scan_cells test_recurrent_step "
    "test_recurrent_lengths test_nn_filter_bank test_explain_cells in_keras/test_keras_weights"
).split()

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.skipif(sys.platform != "linux", reason="its library is built as Linux has them"),
    pytest.mark.skipif(bool(torch.version.cuda or torch.version.hip), reason="it needs a build of torch for the CPU"),
]


def on_a_pretended_gpu(*command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"FEEDBACKWARD_TEST_DEVICE": "pretended"}
    return subprocess.run(
        [sys.executable, *command], env=environment, cwd=HERE, capture_output=True, text=True, timeout=900, check=False
    )


def test_functions_and_layers() -> None:
    files = [str(HERE / f"{name}.py") for name in FILES]
    done = on_a_pretended_gpu("-m", "pytest", "-q", "-p", "no:cacheprovider", *files)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]


def test_it_is_as_strict_as_a_gpu() -> None:
    """A stand-in that let everything pass would be of no use."""
    done = on_a_pretended_gpu("-c", STRICT)
    assert done.returncode == 0, done.stderr[-2_000:]
    assert done.stdout.split("\n") == [
        "cuda:0 and cpu!",
        "cuda:0 and cuda:1!",
        "can't convert cuda:0 device type tensor to numpy.",
        "Expected a 'cuda' device type for generator but found 'cpu'",
        "cuda:1 cuda:1 0",
        "",
    ]


STRICT = """
import pretended
pretended.install()
import torch

x = torch.ones(3, device="cuda", requires_grad=True)
for mistake in (
    lambda: x + torch.ones(3),
    lambda: x + torch.ones(3, device="cuda:1"),
    lambda: x.detach().numpy(),
    lambda: torch.randn(3, device="cuda", generator=torch.Generator()),
):
    try:
        mistake()
    except (RuntimeError, TypeError) as error:
        print(str(error).split("two devices, ")[-1].split(" Use ")[0])
y = torch.ones(3, device="cuda:1", requires_grad=True)
y.square().sum().backward()
print(y.grad.device, y[1:].mul(2).device, torch.cuda.current_device())
"""
