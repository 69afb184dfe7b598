"""What the tests of pages share: a real browser without a network, and what a reader finds on a page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def browser() -> Iterator[Any]:
    """The first browser of `NAMES` that is installed, without a window; tests skip where there is none."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        missing = f"no browser among {', '.join(NAMES)}: `apt-get install chromium` brings one"
        if os.environ.get("FEEDBACKWARD_REQUIRE_BROWSER") == "1":
            pytest.fail(f"FEEDBACKWARD_REQUIRE_BROWSER=1, but there is {missing}")
        pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Reader:
    """A page that is open, and everything that went wrong on it."""

    def __init__(self, browser: Any, path: Path, width: int = 1200, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def numbers(self) -> dict[str, list[Any]]:
        """The table of all numbers of the step that is shown."""
        self.page.evaluate("document.querySelector('#table').open = true")
        self.page.wait_for_selector("#table tbody tr")
        rows = self.page.eval_on_selector_all(
            "#table tbody tr",
            "rows => rows.map(r => [r.dataset.name, [...r.querySelectorAll('td')].map(d => d.textContent)])",
        )
        return {name: [number(text) for text in texts] for name, texts in rows}

    def cells(self, name: str) -> list[Any]:
        """The numbers in the cells of one term."""
        selector = f'.track:not([hidden]) .row[data-name="{name}"] .cell'
        return [number(text) for text in self.page.eval_on_selector_all(selector, "c => c.map(e => e.textContent)")]

    def where(self) -> str:
        """Which step the page says that it shows."""
        return str(self.page.text_content("#where"))


def number(text: str) -> Any:
    """A number as the page writes it, real or complex."""
    plain = text.replace("\N{MINUS SIGN}", "-").replace("∞", "inf")
    return complex(plain[:-1] + "j") if plain.endswith("i") else float(plain)
