"""TensorFlow in an environment of its own: numbers of their own for every test; nothing here needs torch."""

from __future__ import annotations

import os
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
pytest.importorskip(
    "tensorflow.python",  # this folder alone is a package of that name too
    reason="TensorFlow is not installed here; `make test-tensorflow` has an environment of its own for it",
    exc_type=ImportError,
)
sys.path.append(str(Path(__file__).parents[1] / "jax"))  # its loops in numpy


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
