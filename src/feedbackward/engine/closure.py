"""What a cell depends on besides its arguments: the key of its trace, and the tensors in it.

A function's code does not say what it computes: that depends on the tensors, modules, numbers and functions that it
closes over, names globally or has as defaults. Walking through all of them gives a key that changes when any of them
does, and the tensors in a fixed order, so that a trace made with other tensors of the same form serves them too. The
key holds no tensor and no module alive.
"""

from __future__ import annotations

import functools
import sys
import types
from typing import Any

import torch
from torch import Tensor

_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, torch.Size, range)
_LIBRARIES = ("torch", "feedbackward", "numpy", "math", "builtins", "operator", "functools", "typing")
_OF_MODULES = ("_parameters", "_buffers", "_modules", "_forward_hooks", "_forward_pre_hooks")
_OF_CLASSES = ("__dict__", "__weakref__", "__doc__", "__module__", "__abstractmethods__", "_abc_impl")
_LARGEST = 100_000  # things to look at


class Uncacheable(Exception):
    """The cell depends on something whose changes cannot be seen."""


class _Same:
    """A thing that is only equal to itself; it stays alive as long as the key."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


def fingerprint(cell: Any) -> tuple[Any, list[Tensor]]:
    """A hashable key of everything that a trace of ``cell`` depends on, and the tensors that it can reach.

    Raises:
        Uncacheable: It depends on an object that cannot be looked into.
    """
    walk = _Walk()
    return walk.key(cell), walk.tensors


class _Walk:
    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []  # temporary objects live as long as their ids are in use

    def key(self, thing: Any) -> Any:
        if isinstance(thing, _PLAIN):
            return type(thing), repr(thing) if isinstance(thing, (float, complex)) else thing
        if id(thing) in self.seen:
            return "again", self.seen[id(thing)]
        if len(self.seen) > _LARGEST:
            raise Uncacheable
        self.seen[id(thing)] = len(self.seen)
        self.kept.append(thing)
        if isinstance(thing, Tensor):
            return self._tensor(thing)
        if isinstance(thing, torch.nn.Module):
            return self._module(thing)
        if isinstance(thing, (list, tuple, set, frozenset)):
            return type(thing), tuple(self.key(x) for x in thing)
        if isinstance(thing, dict):
            return self._dictionary(thing)
        if isinstance(thing, types.FunctionType):
            return self._function(thing)
        if isinstance(thing, types.MethodType):
            return "method", self.key(thing.__func__), self.key(thing.__self__)
        if isinstance(thing, functools.partial):
            return "partial", self.key(thing.func), self.key(thing.args), self.key(thing.keywords)
        if isinstance(thing, type):
            return _Same(thing) if _of_library(thing) else self._class(thing)
        if hasattr(thing, "__array_interface__"):
            return "array", str(thing.dtype), thing.shape, thing.tobytes()
        if isinstance(thing, types.BuiltinFunctionType) or _of_python(thing):
            return _Same(thing)
        if _of_library(thing) and not type(thing).__module__.startswith("feedbackward."):
            return _Same(thing)  # an object of this library's is looked into
        if isinstance(thing, types.ModuleType):
            plain = {k: v for k, v in vars(thing).items() if isinstance(v, (*_PLAIN, Tensor)) and k[:2] != "__"}
            return _Same(thing), self._dictionary(plain)
        if isinstance(thing, (staticmethod, classmethod, property)):
            parts = (thing.fget,) if isinstance(thing, property) else (thing.__func__,)
            return type(thing), tuple(self.key(p) for p in parts)
        if hasattr(thing, "__dict__") and not hasattr(thing, "__array__"):
            return "object", self.key(type(thing)), self._dictionary(vars(thing))
        raise Uncacheable

    def _tensor(self, tensor: Tensor) -> Any:
        self.tensors.append(tensor)
        key = "tensor", tuple(tensor.shape), tensor.dtype, str(tensor.device), tensor.requires_grad
        if tensor.dtype.is_floating_point or tensor.dtype.is_complex:
            return key
        return *key, _Same(tensor), tensor._version  # positions are part of the trace

    def _module(self, module: torch.nn.Module) -> Any:
        own = {k: v for k, v in module.__dict__.items() if not k.startswith("_") or (v and k in _OF_MODULES)}
        return "module", self.key(type(module)), self._dictionary(own)

    def _class(self, cls: type) -> Any:
        """What instances find in their class: numbers, tensors, methods."""
        own = [c for c in cls.__mro__ if not _of_library(c)]
        return _Same(cls), tuple(
            self._dictionary({k: v for k, v in vars(c).items() if k not in _OF_CLASSES}) for c in own
        )

    def _dictionary(self, thing: Any) -> Any:
        return "dict", tuple((self.key(k), self.key(v)) for k, v in thing.items())

    def _function(self, function: types.FunctionType) -> Any:
        library = function.__module__.split(".")[0] if function.__module__ else ""
        cells = [c.cell_contents for c in function.__closure__ or () if _filled(c)]
        if library == "feedbackward" and cells:
            return "function", function.__code__, tuple(self.key(c) for c in cells)
        if library in _LIBRARIES:
            return _Same(function)
        return (
            "function",
            function.__code__,
            self.key(function.__defaults__),
            self.key(function.__kwdefaults__),
            tuple(self.key(c) for c in cells),
            self._globals(function.__code__, function.__globals__),
        )

    def _globals(self, code: types.CodeType, names: dict[str, Any]) -> Any:
        found = []
        for name in code.co_names:
            if name in names:
                found.append((name, self._global(names[name], code)))
        inner = [self._globals(c, names) for c in code.co_consts if isinstance(c, types.CodeType)]
        return tuple(found), tuple(inner)

    def _global(self, thing: Any, code: types.CodeType) -> Any:
        if not isinstance(thing, types.ModuleType) or _of_library(thing) or _of_python(thing):
            return self.key(thing)
        return "namespace", tuple((n, self.key(getattr(thing, n))) for n in code.co_names if hasattr(thing, n))


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _of_python(thing: Any) -> bool:
    return isinstance(thing, types.ModuleType) and thing.__name__.split(".")[0] in sys.stdlib_module_names


def _of_library(thing: Any) -> bool:
    if isinstance(thing, types.ModuleType):
        home = thing.__name__
    else:
        home = getattr(thing if isinstance(thing, type) else type(thing), "__module__", "")
    return home.split(".")[0] in _LIBRARIES
