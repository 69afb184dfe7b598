"""Scan under every instruction set, each in a process of its own."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


@functools.cache
def run_battery(instruction_set: str, threads: int) -> str:
    """The digest of all results, computed in memory that holds garbage."""
    environment = {
        "FEEDBACKWARD_ISA": instruction_set,
        "OMP_NUM_THREADS": str(threads),
        "MALLOC_PERTURB_": "128",
    }
    result = subprocess.run(
        [sys.executable, str(HERE / "scan_battery.py")],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout.strip()


def test_each_instruction_set(instruction_set):
    run_battery(instruction_set, 2)


def test_any_number_of_threads_computes_the_same_bits():
    assert run_battery("baseline", 1) == run_battery("baseline", 2)
