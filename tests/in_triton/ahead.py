"""Compiling kernels for GPUs that are not here: Triton needs their name alone.

    calls = recorded(monkeypatch)     # from here on nothing is launched, but every launch is noted
    operator(*tensors)                # of any device; their values play no part
    compiled = compile_for(TARGETS["sm_90"], calls[0])

The types are those that the launch would have had, so what is compiled here is what runs there.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from feedbackward.triton import launch

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
BINARY = {"cuda": "cubin", "hip": "hsaco"}
_TYPES = {
    torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32", torch.float64: "fp64",
    torch.int8: "i8", torch.uint8: "u8", torch.int32: "i32", torch.int64: "i64",
}  # fmt: skip


@dataclass(frozen=True)
class Launch:
    """A launch that was asked for."""

    kernel: Any
    arguments: tuple[Any, ...]
    constants: dict[str, Any]
    threads: int
    fused: bool = True


def recorded(monkeypatch: Any) -> list[Launch]:
    """Every launch from here on, none of which happens."""
    calls: list[Launch] = []

    def note(kernel: Any, grid: Any, arguments: Any, constants: dict[str, Any], warps: int, fused: bool = True) -> None:
        calls.append(Launch(kernel, tuple(arguments), constants, 32 * warps, fused))

    monkeypatch.setattr(launch, "run", note)
    return calls


def compile_for(target: GPUTarget, call: Launch) -> Any:
    """The compiled kernel: ``.asm`` has every stage of it, ``.metadata`` its shared memory and more."""
    names = list(inspect.signature(call.kernel.fn).parameters)
    types = tuple(_type(one) for one in call.arguments)
    known = dict(zip(names, types, strict=False)) | dict.fromkeys(call.constants, "constexpr")
    signature = {name: known[name] for name in names}
    aligned = {path: [["tt.divisibility", 16]] for path in _aligned(call.arguments)}
    constants = call.constants | dict.fromkeys(_ones(call.arguments), 1)
    source = ASTSource(call.kernel, signature, constexprs=constants, attrs=aligned)
    options = {"num_warps": max(call.threads // target.warp_size, 1), "enable_fp_fusion": call.fused}
    compiled = triton.compile(source, target=target, options=options)
    assert len(compiled.asm[BINARY[target.backend]]) > 0
    return compiled


def _type(argument: Any, *, within: bool = False) -> Any:
    """What Triton takes an argument for; numbers of a tuple that are 1 become constants, as they do in a launch."""
    if isinstance(argument, tuple):
        return tuple(_type(one, within=True) for one in argument)
    if isinstance(argument, torch.Tensor):
        return "*" + _TYPES[argument.dtype]
    assert isinstance(argument, int)
    if within and argument == 1:
        return "constexpr"
    return "i32" if -(2**31) <= argument < 2**31 else "i64"


def _paths(arguments: tuple[Any, ...]) -> Iterator[tuple[tuple[int, ...], Any]]:
    for i, one in enumerate(arguments):
        for path, leaf in _paths(one) if isinstance(one, tuple) else [((), one)]:
            yield (i, *path), leaf


def _aligned(arguments: tuple[Any, ...]) -> list[tuple[int, ...]]:
    """Pointers, and the numbers of tuples that are multiples of 16; other numbers are not looked at."""
    return [
        path for path, leaf in _paths(arguments) if isinstance(leaf, torch.Tensor) or (len(path) > 1 and leaf % 16 == 0)
    ]


def _ones(arguments: tuple[Any, ...]) -> list[tuple[int, ...]]:
    return [path for path, leaf in _paths(arguments) if len(path) > 1 and isinstance(leaf, int) and leaf == 1]
