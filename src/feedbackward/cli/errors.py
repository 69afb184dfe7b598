"""What the command line says when it cannot do what it was asked to."""

from __future__ import annotations


class Refused(Exception):
    """One sentence for the user; the command ends with exit code 2 and leaves nothing behind."""
