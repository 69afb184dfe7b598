"""The documentation without building it: links, names and sentences that it quotes; the code that no build runs."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from pathlib import Path

import pytest

import feedbackward

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if not path.relative_to(DOCS).parts[0].startswith("_"))
RUN_HERE = {  # pages with code that the build does not run, for their library is not everywhere: its module
    "moving/torchaudio.md": "torchaudio",
    "moving/philtorch.md": "philtorch",
}


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{re.escape(language)}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def test_there_are_pages() -> None:
    names = {name_of(page) for page in PAGES}
    assert {"index.md", "start.md", "why.md", "troubleshooting.md", "api/filters.md", "math/scan.md"} <= names


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = [link.split("#")[0] for link in re.findall(r"\]\((?!https?:|#)([^)\s]+)\)", text)]
    assert [link for link in links if not (page.parent / link).exists()] == []


@every_page
def test_names_of_the_library_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = []
    for name in sorted(set(re.findall(r"\bfb\.([A-Za-z_][\w.]*\w)", text))):
        value: object = feedbackward
        for part in name.split("."):
            if not hasattr(value, part):
                missing.append(name)
                break
            value = getattr(value, part)
    assert missing == []


@every_page
def test_code_is_run_by_somebody(page: Path) -> None:
    """By the build, which takes code cells of pages that say so; or below."""
    text = page.read_text(encoding="utf-8")
    executed = text.startswith("---\nfile_format: mystnb\n")
    assert executed or "{code-cell}" not in text
    assert not blocks(text, "python") or name_of(page) in RUN_HERE
    for command in re.findall(r"^make ([\w-]+)", "\n".join(blocks(text, "sh")), flags=re.MULTILINE):
        assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.cpu  # what others compute
@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize(("name", "module"), RUN_HERE.items())
def test_code_for_which_a_library_may_be_missing(name: str, module: str) -> None:
    try:
        importlib.import_module(module)
    except (ImportError, OSError) as error:
        pytest.skip(f"{module} does not load: {error}")
    code = blocks((DOCS / name).read_text(encoding="utf-8"), "python")
    assert code
    names: dict[str, object] = {}
    for block in code:
        exec(compile(block, name, "exec"), names)


def public_names() -> set[str]:
    """Those that the build checks too."""
    spec = importlib.util.spec_from_file_location("public_names", DOCS / "_extensions" / "public_names.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.public_names()


def test_every_public_name_is_in_the_reference() -> None:
    documented = set()
    for page in (DOCS / "api").glob("*.md"):
        module = ""
        directives = r"^\.\. (?:(?:py:)?(currentmodule|module|data)|auto(\w+)):: (\S+)"
        for own, auto, name in re.findall(directives, page.read_text(encoding="utf-8"), flags=re.MULTILINE):
            if own == "currentmodule" or auto == "module":
                module = name
            documented.add(f"{module}.{name}" if own == "data" else name)
    assert sorted(public_names() - documented) == []


def test_quoted_sentences_are_those_of_the_library() -> None:
    """The dots stand for what varies."""
    files = [path for folder in feedbackward.__path__ for path in Path(folder).rglob("*.py")]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in files)
    # string literals, joined where a line of them ends
    joined = re.sub(r"[\"']\n\s*f?[\"']", "", sources)
    quoted = "".join(blocks((DOCS / "troubleshooting.md").read_text(encoding="utf-8"), "text")).splitlines()
    assert quoted
    parts = [part.strip() for sentence in quoted for part in re.split("…|;|cuda:0", sentence)]
    assert [part for part in parts if part not in joined] == []


def test_the_report_is_that_of_the_results() -> None:
    results = ROOT / "benchmarks" / "results" / "latest.json"
    if not results.exists():
        pytest.skip("the suite runs without the benchmarks")
    from benchmarks import report

    folder = DOCS / "benchmarks"
    pictures = {path.name for path in folder.glob("*.svg")}
    for name, text in report.pages(json.loads(results.read_text(encoding="utf-8")), pictures).items():
        assert (folder / name).read_text(encoding="utf-8") == text, "python -m benchmarks.report writes it anew"
