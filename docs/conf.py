"""How Sphinx builds the site: pages in MyST, executed by myst-nb; nothing is fetched, neither now nor by a reader."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE)]

from measured import measured  # noqa: E402

import feedbackward  # noqa: E402

project = "feedbackward"
author = "the feedbackward authors"
copyright = "the feedbackward authors, Apache-2.0"
version = release = feedbackward.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
extensions += ["docstrings", "drawings", "mathml", "outputs", "public_names"]  # ours, in _extensions
exclude_patterns = ["_*", "images", "pictures"]

# Pages. The cache keeps what a page printed until the page or the library changes; setting its path anew makes Sphinx
# read all pages again.
myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath", "fieldlist", "substitution"]
myst_substitutions = {"measured": measured()}
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_merge_streams = True


def _library_now() -> str:
    """A digest of everything that an executed page may depend on beside its own text."""
    digest = hashlib.sha256()
    for folder in (ROOT / "src", ROOT / "examples", ROOT / "benchmarks" / "results", HERE / "tutorials"):
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".py", ".so", ".json"}:
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


nb_execution_cache_path = str(ROOT / "build" / "docs-cache" / _library_now())


def _kernel(framework: str) -> None:
    """A page may be run in the environment of a framework, which need not share one with torch."""
    venv = Path(sys.prefix)
    python = venv.with_name(f"{venv.name}-{framework}") / "bin" / "python"
    folder = ROOT / "build" / "docs-kernels" / "kernels" / framework
    folder.mkdir(parents=True, exist_ok=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    env = {"KERAS_BACKEND": framework, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
    spec = {"argv": argv, "display_name": framework, "language": "python", "env": env}
    (folder / "kernel.json").write_text(json.dumps(spec))
    os.environ["JUPYTER_PATH"] = str(folder.parents[1])


_kernel("tensorflow")
os.environ["KERAS_BACKEND"] = "torch"  # here, for the reference

# Executed pages draw by one style, print to the width of a page, and call the commands of this Python.
os.environ["MATPLOTLIBRC"] = str(HERE / "matplotlibrc")
os.environ["COLUMNS"] = "84"
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

# The reference. A name in single backticks links where it is one of ours and is code where it is not.
python_maximum_signature_line_length = 88
default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "extra_repr"}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
if importlib.util.find_spec("tensorflow") is None:  # which has an environment of its own
    autodoc_mock_imports = ["tensorflow", "feedbackward.tensorflow.ops"]
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Source", "notes_style")]
nitpicky = True
nitpick_ignore_regex = [  # no inventory of another library is fetched
    ("py:obj", r".*"),  # see default_role
    ("py:class", r"(torch|numpy|collections|typing|matplotlib|pathlib|rich)\..*"),  # theirs
    ("py:class", r"(Tensor|Any|Callable|Sequence|Iterator|nn\.Module|optional|np\..*|Figure|Panel)"),
]
suppress_warnings = ["mystnb.unknown_mime_type"]

# The look.
html_theme = "furo"
html_title = "feedbackward"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
