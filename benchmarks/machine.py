"""What the numbers were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = ("feedbackward", "torch", "numpy", "scipy", "numba", "jax", "jaxlib", "torchaudio", "philtorch")


def use_threads(threads: int) -> None:
    """Keep this process and every library in it to so many cores; call before torch, jax or numba is imported.

    The affinity is what XLA sizes its pool by; the variables are for OpenMP and numba.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < threads:
            raise SystemExit(f"--threads {threads}: this process may use only {len(cores)} cores.")
        os.sched_setaffinity(0, cores[:threads])
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")


def describe() -> dict[str, object]:
    """The processor, its caches, its vector instructions, and the system."""
    return {
        "cpu": _cpu_line("model name") or platform.processor(),
        "caches": _caches(),
        "vector_instructions": vector_instructions(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "transparent_huge_pages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
    }


def vector_instructions() -> str:
    """The widest of the vector instruction sets that the core is compiled for and this processor has."""
    flags = set(_cpu_line("flags").split())
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags:
        return "avx512"
    if {"avx2", "fma"} <= flags:
        return "avx2"
    return "baseline"


def versions() -> dict[str, str]:
    """The versions of Python, this library and everything it is compared with."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _cpu_line(key: str) -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def _caches() -> str:
    sizes = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind = _read(str(folder / "level")), _read(str(folder / "type"))
        if kind != "Instruction":
            sizes[f"L{level}"] = _read(str(folder / "size"))
    return ", ".join(f"{level} {size}" for level, size in sizes.items())


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
