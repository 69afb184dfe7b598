"""Output folders that are complete or not there.

Files are written into a hidden folder beside the wanted one, or inside of it where it exists, and move into place when
all of them are done. Whatever ends the work before, an error or Ctrl-C, removes the hidden folder: what was there
before stays as it was.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from .errors import Refused


@contextlib.contextmanager
def staged(out: Path, names: Sequence[str], inputs: Sequence[Path]) -> Iterator[Path]:
    """A temporary folder whose files appear in `out` when the block ends well.

    Args:
        out: the wanted folder; made with its parents where it does not exist.
        names: the files that will be written; those of an earlier run are replaced, others in `out` stay.
        inputs: files that must not be replaced.

    Raises:
        Refused: `out` is a file, cannot be written to, or holds an input that would be replaced.
    """
    if out.exists() and not out.is_dir():
        raise Refused(f"{out} is a file, expected a folder for the results.")
    for name, source in ((name, source) for name in names for source in inputs):
        if (out / name).exists() and (out / name).samefile(source):
            raise Refused(f"{source} would be overwritten by the result of the same name: choose another folder.")
    made = _make_parents(out)
    stage = None
    try:
        stage = Path(tempfile.mkdtemp(prefix=".feedbackward-", dir=out if out.exists() else out.parent))
        yield stage
        _publish(stage, out)
    except OSError as error:
        raise Refused(f"{out} cannot be written: {error.strerror or error}.") from error
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        if not out.exists():
            _remove_empty(made)


def _make_parents(out: Path) -> list[Path]:
    """Make the folder above `out`; the ones that were not there, innermost first."""
    missing = [parent for parent in out.absolute().parents if not parent.exists()]
    try:
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"{out} cannot be made: {error.strerror}.") from error
    return missing


def _publish(stage: Path, out: Path) -> None:
    if out.exists():
        for file in sorted(stage.iterdir()):
            file.replace(out / file.name)
        return
    umask = os.umask(0)
    os.umask(umask)
    stage.chmod(0o777 & ~umask)  # mkdtemp makes folders that nobody else can read
    stage.rename(out)


def _remove_empty(folders: Sequence[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
