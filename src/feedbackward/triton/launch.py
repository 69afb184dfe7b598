"""How a kernel is launched: on the tensor's device and its current stream, compiled the same way everywhere."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
import triton
from torch import Tensor

BLOCK = 128  # lanes of a program: every one of them is a thread of its own


def launch(
    kernel: Any, grid: Sequence[int], *arguments: Any, like: Tensor, block: int = BLOCK, **constants: Any
) -> None:
    """Run ``kernel[grid](*arguments, **constants)`` where ``like`` lies, with a thread for each of ``block`` lanes.

    Multiplications and additions are fused on every target: Triton's default for that differs between versions.
    Tuples of numbers arrive in code: `kernels.steps.entry` reads them.
    """
    if 0 in grid:
        return
    coded = [in_code(one) if isinstance(one, tuple) else one for one in arguments]
    with guard(like.device):
        run(kernel, tuple(grid), coded, constants, max(block // warp_size(like.device), 1))


def run(
    kernel: Any,
    grid: tuple[int, ...],
    arguments: Sequence[Any],
    constants: dict[str, Any],
    warps: int,
    fused: bool = True,
) -> None:
    """The launch itself; ``fused``: multiplications and additions, also where the source does not say so."""
    kernel[grid](*arguments, **constants, num_warps=warps, enable_fp_fusion=fused)


def in_code(numbers: tuple[int, ...]) -> tuple[int, ...]:
    """Numbers as none of which Triton takes special care: 4 n + 3, neither 1 nor a multiple of 16.

    It compiles a kernel anew for every pattern of those among the entries of a tuple: ``do_not_specialize`` holds for
    arguments that are numbers, and not for those in a tuple. Strides have such a pattern for nearly every length.
    """
    return tuple(4 * n + 3 for n in numbers)


def guard(device: torch.device) -> AbstractContextManager[Any]:
    """Makes ``device`` the current one, which is where Triton launches."""
    return torch.cuda.device(device)


@functools.cache
def warp_size(device: torch.device) -> int:
    """Threads that run in step: 32 on NVIDIA's GPUs, 64 on most of AMD's."""
    with guard(device):
        return int(triton.runtime.driver.active.get_current_target().warp_size)


def blocks(count: int, block: int = BLOCK) -> int:
    """Programs for ``count`` lanes."""
    return -(-count // block)
