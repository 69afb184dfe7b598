"""The directive ``drawing``: a picture that a module of docs/pictures draws, in ink for light and for dark pages.

    ```{drawing} bank_times
    :alt: What there is to see, in words.

    The caption.
    ```

The name is that of a function in `pictures.ALL`. Both versions are drawn when the build begins, and the page shows the
one that fits the reader's theme.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pictures
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FOLDER = "_drawn"


class Drawing(SphinxDirective):
    """Two images, of which a theme shows one, in a figure with a caption."""

    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required}  # noqa: RUF012  docutils declares it so

    def run(self) -> list[nodes.Node]:
        name, alt = self.arguments[0], self.options.get("alt")
        if name not in pictures.ALL:
            raise self.error(f"drawing: there is no {name!r} in pictures.ALL, only {', '.join(pictures.ALL)}")
        if not alt or not self.content:
            raise self.error(f"drawing: {name} needs :alt: and a caption, for those who do not see it")
        figure = nodes.figure(classes=["drawing"])
        for theme in pictures.THEMES:
            figure += nodes.image(uri=f"/{FOLDER}/{name}-{theme}.svg", alt=alt, classes=[f"only-{theme}"])
        caption = nodes.caption()
        caption += self.parse_inline(" ".join(self.content), lineno=self.lineno)[0]
        figure += caption
        return [figure]


def draw(app: Sphinx) -> None:
    """Draw every picture anew."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(exist_ok=True)
    for name in pictures.ALL:
        for theme in pictures.THEMES:
            pictures.draw(name, theme, folder / f"{name}-{theme}.svg")


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("drawing", Drawing)
    app.connect("builder-inited", draw)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
