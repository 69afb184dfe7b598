"""What tests share: a device, a seed of their own, poisoned fresh memory, this machine's instruction sets, a browser.

Tensors are made on the CPU, or, with ``FEEDBACKWARD_TEST_DEVICE=cuda``, on a GPU: torch's default device is what tests
use where they name none. ``pretended`` is a GPU that is not there (`pretended`). Tests of what is the CPU's alone are
marked ``cpu`` and skipped elsewhere; what torch has no counterpart of on a pretended GPU is marked ``genuine``.
"""

from __future__ import annotations

import os
import platform
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DEVICE = os.environ.get("FEEDBACKWARD_TEST_DEVICE", "cpu")
assert DEVICE in ("cpu", "cuda", "pretended"), f"FEEDBACKWARD_TEST_DEVICE is {DEVICE!r}: cpu, cuda or pretended"

if DEVICE == "pretended":
    sys.path.insert(0, str(Path(__file__).parent))
    import pretended

    pretended.install()

if DEVICE == "cuda":  # what poisons fresh memory also warns of cuBLAS without it
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

if DEVICE != "cpu":
    import torch

    torch.set_default_device("cuda")
    torch._C._get_default_device = lambda: "cuda"  # tensors on it are printed as the examples of docstrings have them
    torch.backends.cudnn.allow_tf32 = False  # torch's layers are the truth of many tests


def pytest_configure(config: pytest.Config) -> None:
    if DEVICE == "cuda" and not torch.cuda.is_available():
        raise pytest.UsageError("FEEDBACKWARD_TEST_DEVICE is cuda, but torch finds no GPU: pretended needs none")
    if DEVICE == "cuda":  # of operators of torch's that tests use, and of torch.nn's layers with weights from elsewhere
        config.addinivalue_line("filterwarnings", "ignore:.* does not have a deterministic implementation:UserWarning")
        config.addinivalue_line("filterwarnings", "ignore:RNN module weights are not part of single:UserWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reasons = {"cpu": "of the CPU alone", "genuine": "needs a GPU that is there"}
    skipped = {"cpu": (), "cuda": ("cpu",), "pretended": ("cpu", "genuine")}[DEVICE]
    for item in items:
        if item.name == "feedbackward.engine.explain.explain_cell":  # the example shows what is said of the CPU
            item.add_marker("cpu")
        for name in skipped:
            if item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=reasons[name]))


INSTRUCTION_SETS = {
    "baseline": set(),
    "avx2": {"avx2", "fma"},
    "avx512": {"avx512f", "avx512vl", "avx512dq", "avx512bw"},
}


@pytest.fixture(autouse=True)
def seed(request: pytest.FixtureRequest) -> int:
    """Each test has its own numbers, and the same on every run."""
    torch = pytest.importorskip("torch")
    value = zlib.crc32(request.node.nodeid.encode())
    torch.manual_seed(value)
    return value


@pytest.fixture(autouse=True)
def poisoned_memory() -> Iterator[None]:
    """Fill what ``torch.empty`` returns with NaN, so that an element nobody wrote is seen."""
    torch = pytest.importorskip("torch")
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _cpu_flags() -> set[str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((set(line.split(":")[1].split()) for line in lines if line.startswith("flags")), set())


@pytest.fixture(params=INSTRUCTION_SETS)
def instruction_set(request: pytest.FixtureRequest) -> str:
    """Each value of FEEDBACKWARD_ISA that this machine can run."""
    if request.param != "baseline" and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip(f"{request.param} is an x86 instruction set, this is {platform.machine()}")
    if missing := INSTRUCTION_SETS[request.param] - _cpu_flags():
        pytest.skip(f"this processor lacks {', '.join(sorted(missing))}")
    return request.param


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser without a network, for pages."""
    from browser import browser

    with browser() as found:
        yield found
