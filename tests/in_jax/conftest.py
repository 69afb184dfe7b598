"""JAX in double precision, numbers of its own for every test; nothing here needs torch."""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Iterator

import numpy as np
import pytest

INSTALLED = importlib.util.find_spec("jax") is not None
collect_ignore_glob = [] if INSTALLED else ["*.py"]

if INSTALLED:
    import jax


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not run."""
    if not INSTALLED:
        terminalreporter.line(
            "JAX is not installed here: tests/in_jax was not run. `make test-jax` runs it in an environment of its own."
        )


@pytest.fixture(autouse=True)
def seed(request: pytest.FixtureRequest) -> int:
    """In the place of the fixture that seeds torch."""
    return zlib.crc32(request.node.nodeid.encode())


@pytest.fixture(autouse=True)
def poisoned_memory() -> None:
    """In the place of the fixture that fills torch's memory."""


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)
