"""What is said where a library of the extra `explain` is not installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

_NEEDED = {
    "rich": "showing an explanation in a terminal",
    "jinja2": "making a page",
    "latex2mathml": "making a page",
}


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn the failed import of such a library into one sentence with the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").split(".")[0]
        if library not in _NEEDED:
            raise
        raise ModuleNotFoundError(
            f"explain: {_NEEDED[library]} needs {library}, which is not installed: "
            'run `pip install "feedbackward[explain]"`',
            name=library,
        ) from error
