"""The command ``feedbackward``: learn an equalizer, look at a recording through a bank, watch a layer run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_NEEDED = ("typer", "rich")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 when it did what it was asked to, 2 when it refused, 130 after Ctrl-C.

    Args:
        arguments: as after the name of the program; those of the process by default.
    """
    try:
        from .app import run
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        sys.stderr.write(
            f"feedbackward: the command line needs {error.name}, which is not installed: "
            'run `pip install "feedbackward[cli]"`.\n'
        )
        sys.exit(2)
    sys.exit(run(arguments))
