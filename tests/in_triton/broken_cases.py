"""Cases for the process that measures: one that kills it, one that never ends, one that raises, and a good one."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from benchmarks.case import Inputs
from benchmarks.gpu_work import Build, Call, Case


def _expected(inputs: Inputs) -> list[np.ndarray]:
    return [np.ones(3)]


def case(name: str, ours: Build, **more) -> Case:
    """One of ones, with a tolerance of 1e-4."""
    return Case(name, lambda small: {}, _expected, lambda inputs: 1e-4, lambda inputs: 24, ours, **more)


def ones(inputs: Inputs, device: torch.device) -> Call:
    return lambda: (torch.ones(3),)


def _dies(inputs: Inputs, device: torch.device) -> Call:
    os._exit(3)


def _raises(inputs: Inputs, device: torch.device) -> Call:
    raise RuntimeError("no such kernel\nand more about it")


def _hangs(inputs: Inputs, device: torch.device) -> Call:
    """The first call is as it should be."""
    calls = []

    def call() -> Sequence[Tensor]:
        calls.append(1)
        if len(calls) > 1:
            time.sleep(600)
        return (torch.ones(3),)

    return call


CASES = (case("dies", _dies), case("hangs", _hangs), case("raises", _raises), case("good", ones))
