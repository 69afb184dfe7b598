"""Mathematics as MathML: LaTeX becomes markup that every browser of today renders itself, without script or font.

A formula that the converter does not know is an error of the build.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)

# A function, perhaps with an exponent or a base, before an argument without parentheses: TeX leaves a thin space there.
_APPLIED = re.compile(
    r"(\\(?:sin|cos|tan|arcsin|arccos|arctan|sinh|cosh|tanh|ln|log)(?![a-z])(?:[\^_](?:\{[^}]*\}|\w))?)"
    r"\s*(?=[A-Za-z]|\\(?!right|quad|qquad)[A-Za-z])"
)


def _markup(node: nodes.Element, display: str) -> str:
    latex = node.astext().strip()
    for other in ("aligned", "split"):  # the same picture by a name that the converter knows
        latex = latex.replace(f"{{{other}}}", "{align*}")
    latex = _APPLIED.sub(r"\1\\,", latex)
    try:
        return convert(latex, display=display)
    except Exception as error:
        LOGGER.warning("mathml: %r cannot be converted: %r", latex, error, location=node)
        return f"<code>{latex}</code>"


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(_markup(node, "inline"))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    anchor = f' id="{node["ids"][0]}"' if node.get("ids") else ""
    translator.body.append(f'<div class="equation"{anchor} tabindex="0">{_markup(node, "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Offer the renderer by the name ``mathml``."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
