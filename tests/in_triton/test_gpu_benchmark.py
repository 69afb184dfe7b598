"""benchmarks/gpu.py: without a GPU it says so; every line of it runs in the interpreter, and what is wrong is seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.skipif(not (ROOT / "benchmarks" / "gpu.py").exists(), reason="the benchmarks are not here"),
    pytest.mark.skipif("FEEDBACKWARD_DEVICE_KERNELS" in os.environ, reason="it starts such a process itself"),
]


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *arguments],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so():
    done = run()
    assert done.returncode == 1
    assert "torch.cuda.is_available() is False" in done.stderr
    assert not done.stdout


CASES = (
    "bank, forward and backward",
    "one signal of 1,000,000, forward",
    "linear recurrence, forward",
    "BandRNN, 1024 channels +-8, a training step",
    "cell biquad, forward and backward",
)


def test_a_rehearsal_checks_and_times(tmp_path):
    table = tmp_path / "gpu.json"
    done = run(
        "--rehearse", "--json", str(table), "--only", *CASES, FEEDBACKWARD_DEVICE_KERNELS="triton", TRITON_INTERPRET="1"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(table.read_text())["rows"]
    assert {row["case"] for row in rows} == set(CASES)
    assert all(row["eager"] > 0 and not row["verdict"] for row in rows)


def test_a_wrong_result_is_not_timed():
    from benchmarks import gpu
    from benchmarks.gpu_work import Case, Work

    def off_by(error):
        return Work(lambda: (torch.ones(3) + error,), lambda: (torch.ones(3).double(),), 1e-4, 12)

    cpu = torch.device("cpu")
    for error in (1e-3, float("nan")):
        row = gpu.measure(Case("off", lambda device, small, error=error: off_by(error)), cpu, 1e9, True)
        assert "WRONG" in row.verdict
        assert row.eager is None
    assert not gpu.measure(Case("right", lambda device, small: off_by(1e-6)), cpu, 1e9, True).verdict


def test_a_target_without_its_peer_is_not_met():
    from benchmarks import gpu
    from benchmarks.gpu_work import Case, Work

    def make(device, small):
        return Work(lambda: (torch.ones(3),), lambda: (torch.ones(3).double(),), 1e-4, 12)

    def missing(device, small):
        raise ModuleNotFoundError("No module named 'peer'")

    for build, verdict in ((missing, "UNMEASURED"), (lambda device, small: lambda: torch.ones(3), "MISSED")):
        case = Case("case", make, peers=(("peer", build, 1e9),))
        assert gpu.measure(case, torch.device("cpu"), 1e9, False).verdict == verdict
