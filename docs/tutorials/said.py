"""Shows the sentence of an error, which is what a reader wants of a traceback."""

from __future__ import annotations

import re
from collections.abc import Callable


def said(call: Callable[[], object]) -> None:
    """Print what a call that fails says, in one line, or that it did not fail.

    Args:
        call: Without arguments. The name of the temporary file that a notebook gives to a cell is left out.
    """
    try:
        call()
    except Exception as error:
        sentence = re.sub(r"\S*ipykernel\S*:(\d+)", r"line \1", str(error))
        print(" ".join(f"{type(error).__name__}: {sentence}".split()))
    else:
        print("no error")
