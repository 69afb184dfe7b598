"""TensorFlow in an environment of its own: numbers of their own for every test; nothing here needs torch."""

from __future__ import annotations

import importlib.util
import os
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

INSTALLED = importlib.util.find_spec("tensorflow") is not None
collect_ignore_glob = [] if INSTALLED else ["*.py"]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.append(str(Path(__file__).parents[1] / "in_jax"))  # its loops in numpy


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not run."""
    if not INSTALLED:
        terminalreporter.line(
            "TensorFlow is not installed here: tests/in_tensorflow was not run. `make test-tensorflow` runs it in an "
            "environment of its own."
        )


@pytest.fixture(autouse=True)
def seed(request: pytest.FixtureRequest) -> int:
    """In the place of the fixture that seeds torch."""
    return zlib.crc32(request.node.nodeid.encode())


@pytest.fixture(autouse=True)
def poisoned_memory() -> None:
    """In the place of the fixture that fills torch's memory."""


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)
