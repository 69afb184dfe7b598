"""What executed pages print, without what only this machine knows, and without failures that a notebook passes over.

The library's errors name the file and line of the reader's code. A notebook runs each cell from a temporary file. A
command behind ``!`` that fails is no error for a notebook; here it is.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)

_FAILED = re.compile(r"command not found|No such (?:file|option|command)|Traceback \(most recent call last\)")
_TEMPORARY = re.compile(r"\S*ipykernel_\d+\S*\.py")


def clean(app: Sphinx, doctree: nodes.document) -> None:
    """Name the temporary file of a cell as what it stands for, and tell what failed."""
    for block in doctree.findall(nodes.literal_block):
        text = block.astext()
        if "output" in block["classes"] and _FAILED.search(text):
            LOGGER.warning("outputs: a command failed: %s", text, location=block)
        if _TEMPORARY.search(text):
            block.children = []
            block += nodes.Text(_TEMPORARY.sub("your_file.py", text))


def setup(app: Sphinx) -> dict[str, Any]:
    """Run on every page once its outputs are in it."""
    app.connect("doctree-read", clean)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
