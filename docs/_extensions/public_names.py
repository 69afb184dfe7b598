"""The build fails while a public name is missing from the reference, or the reference has one that is not public."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import feedbackward

if TYPE_CHECKING:  # the tests read the names without Sphinx
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment


FRAMEWORKS = ("jax", "keras", "tensorflow")  # with a module of ours by their name, which need not be installed here


def public_names() -> set[str]:
    """Every name that a user may import, with its module: ``feedbackward.design.lowpass``."""
    names = set()
    for framework in FRAMEWORKS:
        names |= {f"feedbackward.{framework}.{one}" for one in _listed(framework)}
    for name in set(feedbackward.__all__) - {"__version__"}:
        names.add(f"feedbackward.{name}")
        try:
            value = getattr(feedbackward, name)
        except ModuleNotFoundError:  # a module for a framework that is not here: the build has all of them
            continue
        if isinstance(value, ModuleType):
            names |= {f"feedbackward.{name}.{one}" for one in members(value)}
    return names


def _listed(framework: str) -> list[str]:
    """``__all__`` of a module that cannot be imported without its framework."""
    sources = [Path(folder) / framework / "__init__.py" for folder in feedbackward.__path__]
    tree = ast.parse(next(path for path in sources if path.exists()).read_text(encoding="utf-8"))
    lists = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    names: list[str] = ast.literal_eval(lists[0])
    return names


def members(module: ModuleType) -> set[str]:
    """The names of ``__all__``, or what the module defines without a leading underscore."""
    if hasattr(module, "__all__"):
        return set(module.__all__)
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    }


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Compare the reference's objects with the public names, both ways."""
    from sphinx.util import logging

    logger = logging.getLogger(__name__)
    objects = env.get_domain("py").objects  # type: ignore[attr-defined]
    kinds = ("function", "class", "exception", "data")
    documented = {name for name, entry in objects.items() if entry.objtype in kinds}
    public = public_names()
    for name in sorted(public - set(objects)):
        logger.warning("api: %s is public, but no page of docs/api has it", name)
    for name in sorted(documented - public):
        if not _is_reachable(name):
            logger.warning("api: a page documents %s, which is not public", name)


def _is_reachable(name: str) -> bool:
    """Whether a class or function has the address under which it is documented, as the results of functions have."""
    module, _, attribute = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), attribute)
    except (ModuleNotFoundError, ValueError):
        return False


def setup(app: Sphinx) -> dict[str, Any]:
    """Check once all pages are read."""
    app.connect("env-check-consistency", check)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
