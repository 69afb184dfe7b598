"""The compiled libraries, one for every framework: found, loaded once, asked what the core inside knows.

Each holds the same core behind the operators of its framework, and needs nothing but that framework: this module
imports none of them.
"""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

import feedbackward

FRAMEWORKS = ("torch", "jax", "tensorflow")
_loaded: dict[str, ctypes.CDLL] = {}


@functools.cache
def path(framework: str) -> Path:
    """Where the operators for a framework lie.

    Raises:
        ImportError: They are not there, because the package was built without them.
    """
    name = f"feedbackward_{framework}.so"
    for folder in feedbackward.__path__:
        if (library := Path(folder) / "lib" / name).exists():
            return library
    raise ImportError(
        f"feedbackward: {name} is not in {', '.join(feedbackward.__path__)}: the package was not built; run "
        "`pip install --no-build-isolation .` in a checkout, or install a wheel."
    )


def load(framework: str) -> ctypes.CDLL:
    """The library for a framework, which has been imported if the library needs it.

    Raises:
        ImportError: It was not built.
        RuntimeError: ``FEEDBACKWARD_ISA`` names an instruction set that this processor lacks.
    """
    if framework not in _loaded:
        library = ctypes.CDLL(str(path(framework)))
        _isa_of(library)
        _loaded[framework] = library
    return _loaded[framework]


def isa(framework: str) -> str:
    """The instruction set that the kernels run on: ``"avx512"``, ``"avx2"`` or ``"baseline"``.

    The environment variable ``FEEDBACKWARD_ISA``, read once, forces one of them.

    Raises:
        RuntimeError: ``FEEDBACKWARD_ISA`` names a set that is unknown or that this processor lacks.
    """
    return _isa_of(load(framework))


def _isa_of(library: ctypes.CDLL) -> str:
    library.fb_isa.restype = ctypes.c_char_p
    name: bytes | None = library.fb_isa()
    if name is None:
        raise RuntimeError(
            f"FEEDBACKWARD_ISA is {os.environ.get('FEEDBACKWARD_ISA')!r}, expected avx512, avx2 or baseline, "
            "and one that this processor has"
        )
    return name.decode()


@functools.cache
def operations() -> dict[str, int]:
    """The code of every instruction of the program machine, from any of the libraries: they all have the same core.

    Raises:
        ImportError: None of them can be loaded.
    """
    names = _any().fb_operations
    names.restype = ctypes.c_char_p
    return {name.decode(): code for code, name in enumerate(names().split())}


def _any() -> ctypes.CDLL:
    if _loaded:
        return next(iter(_loaded.values()))
    reasons = []
    for framework in FRAMEWORKS:
        try:
            return load(framework)
        except (ImportError, OSError) as error:  # not built, or its framework has not been imported
            reasons.append(str(error))
    raise ImportError("feedbackward: no compiled library can be loaded: " + "; ".join(reasons))
