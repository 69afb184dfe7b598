"""From the text of a kernel to the kernel, once for every text of a process.

Triton reads the source of a function through `inspect`, which looks into Python's `linecache`, and that may hold lines
that lie in no file. So nothing is written to disk here. What Triton compiles it keeps on disk itself, found by the
source, and that cache is made for many processes.
"""

from __future__ import annotations

import functools
import hashlib
import linecache
from typing import Any

import triton
import triton.language as tl

from .kernels import pointwise, products


@functools.lru_cache(maxsize=1024)
def kernel_of(text: str) -> Any:
    """The Triton kernel named ``kernel`` of a source text."""
    name = f"<feedbackward kernel {hashlib.sha256(text.encode()).hexdigest()[:16]}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    names = {**vars(pointwise), **vars(products), "triton": triton, "tl": tl, "__name__": f"{__package__}.emitted"}
    exec(compile(text, name, "exec"), names)
    return names["kernel"]
