"""What executed pages print, without what only this machine knows.

The library's errors name the file and line of the reader's code. A notebook runs each cell from a temporary file.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

_TEMPORARY = re.compile(r"\S*ipykernel_\d+\S*\.py")


def name_files(app: Sphinx, doctree: nodes.document) -> None:
    """Name the temporary file of a cell as what it stands for."""
    for block in doctree.findall(nodes.literal_block):
        text = block.astext()
        if _TEMPORARY.search(text):
            block.children = []
            block += nodes.Text(_TEMPORARY.sub("your_file.py", text))


def setup(app: Sphinx) -> dict[str, Any]:
    """Run on every page once its outputs are in it."""
    app.connect("doctree-read", name_files)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
