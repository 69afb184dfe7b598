"""Batteries of checks, each run in a process of its own: the instruction set is chosen once per process."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


@functools.cache
def run_battery(script: str, instruction_set: str, threads: int) -> str:
    """The digest of all results that a script prints.

    The allocator fills what it hands out with large garbage, so scratch memory that nobody wrote is seen.
    """
    environment = {
        "FEEDBACKWARD_ISA": instruction_set,
        "OMP_NUM_THREADS": str(threads),
        "MALLOC_PERTURB_": "128",
    }
    result = subprocess.run(
        [sys.executable, str(HERE / script)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout.strip()
