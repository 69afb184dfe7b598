"""Keras on one backend, which KERAS_BACKEND names, or else the first that is installed; nothing here needs torch."""

from __future__ import annotations

import importlib.util
import os
import warnings
import zlib
from collections.abc import Iterator

import numpy as np
import pytest

BACKENDS = ("torch", "tensorflow", "jax")


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


_there = [name for name in BACKENDS if _is_installed(name)]
INSTALLED = _is_installed("keras") and bool(_there)
collect_ignore_glob = [] if INSTALLED else ["*.py"]

if INSTALLED:
    BACKEND = os.environ.setdefault("KERAS_BACKEND", _there[0])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # most of the time goes into compiling
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the frameworks, while they are imported
        import keras


def pytest_configure(config: pytest.Config) -> None:
    """What Keras 3.15 itself does with numpy 2 is not ours to fail for."""
    config.addinivalue_line(
        "filterwarnings", "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was run, or that nothing was."""
    if INSTALLED:
        terminalreporter.line(f"Keras {keras.__version__} on the backend {BACKEND}.")
    else:
        missing = "Keras has no backend" if _is_installed("keras") else "Keras is not installed"
        terminalreporter.line(
            f"{missing} here: tests/in_keras was not run. It needs Keras 3, and TensorFlow, JAX or PyTorch."
        )


@pytest.fixture(autouse=True)
def seed(request: pytest.FixtureRequest) -> int:
    """The same numbers for a test on every backend."""
    value = zlib.crc32(request.node.nodeid.encode())
    keras.utils.set_random_seed(value)
    return value


@pytest.fixture(autouse=True)
def poisoned_memory() -> None:
    """In the place of the fixture that fills torch's memory."""


@pytest.fixture(autouse=True)
def torchs_own_device() -> Iterator[None]:
    """Keras puts its tensors on a GPU by itself; torch's loaders cannot shuffle under such a default device."""
    if INSTALLED and BACKEND == "torch":
        import torch

        with torch.device("cpu"):
            yield
    else:
        yield


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)
