"""Compiling a kernel for GPUs that are not here: Triton needs their name alone.

    compiled = compile_for(TARGETS["sm_90"], kernel, types, constants)

``types`` gives every argument that is not a constant its type in Triton's notation: ``"*fp32"``, ``"i64"``, a tuple of
them for an argument that is a tuple. Pointers are taken to be aligned to 16 bytes, as those of fresh tensors are.
"""

from __future__ import annotations

import inspect
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

TARGETS = {
    "sm_80": GPUTarget("cuda", 80, 32),
    "sm_90": GPUTarget("cuda", 90, 32),
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
BINARY = {"cuda": "cubin", "hip": "hsaco"}


def compile_for(
    target: GPUTarget,
    kernel: Any,
    types: dict[str, Any],
    constants: dict[str, Any],
    threads: int = 128,
    fused: bool = True,
) -> Any:
    """The compiled kernel: ``.asm`` has every stage of it, ``.metadata`` its shared memory."""
    names = list(inspect.signature(kernel.fn).parameters)
    assert set(names) == set(types) | set(constants), set(names) ^ (set(types) | set(constants))
    signature = {name: types.get(name, "constexpr") for name in names}
    aligned = {path: [["tt.divisibility", 16]] for path in _pointers(tuple(signature.values()))}
    source = ASTSource(kernel, signature, constexprs=constants, attrs=aligned)
    options = {"num_warps": max(threads // target.warp_size, 1), "enable_fp_fusion": fused}
    compiled = triton.compile(source, target=target, options=options)
    assert len(compiled.asm[BINARY[target.backend]]) > 0
    return compiled


def _pointers(types: Any, path: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
    if isinstance(types, tuple):
        return [found for i, one in enumerate(types) for found in _pointers(one, (*path, i))]
    return [path] if types.startswith("*") else []
