"""Peak memory of one call beyond its inputs and outputs, in a process of its own.

``python -m benchmarks.memory CASE PEER`` prints JSON. The process makes the inputs, builds the peer (imports,
compilation), runs it once on a small case, resets the kernel's high-water mark, and makes one call.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from .machine import use_threads

MEGABYTE = 1e6


def measure(case: str, peer: str, threads: int) -> dict[str, Any]:
    """Run this module in a fresh process; returns its JSON, or a reason."""
    command = [sys.executable, "-m", "benchmarks.memory", case, peer, "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"reason": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _status(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return float(line.split()[1]) * 1024
    raise SystemExit(f"memory: /proc/self/status has no {key}; this measurement needs Linux.")


def main() -> None:
    """Measure one peer of one case."""
    parser = argparse.ArgumentParser(description="Peak memory of one call, beyond inputs and outputs.")
    parser.add_argument("case")
    parser.add_argument("peer")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    use_threads(options.threads)

    import numpy as np
    import torch

    from .registry import CASES

    torch.set_num_threads(options.threads)
    case = CASES[options.case]
    build = case.peers[options.peer]
    build(case.make(True))()
    call = build(case.make(False))

    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again from here
    before = _status("VmRSS")
    outputs = call()
    peak = _status("VmHWM") - before
    size = sum(
        output.numel() * output.element_size() if isinstance(output, torch.Tensor) else np.asarray(output).nbytes
        for output in outputs
    )
    print(json.dumps({"peak_mb": peak / MEGABYTE, "outputs_mb": size / MEGABYTE, "extra_mb": (peak - size) / MEGABYTE}))


if __name__ == "__main__":
    main()
