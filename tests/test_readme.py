"""What the README shows is run: its Python in one go, its commands one by one."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


COMMANDS = [line.split("  #")[0].strip() for block in blocks("sh") for line in block.splitlines()]


def test_every_block_is_one_that_is_run() -> None:
    assert README.count("\n```") == 2 * len(blocks("python") + blocks("sh"))


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("make ")])
def test_make_target(command: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{command.split()[1]}:", makefile, flags=re.MULTILINE)


@pytest.mark.parametrize("command", [command for command in COMMANDS if "pip install" in command])
def test_extras_exist(command: str) -> None:
    extras = {extra for group in re.findall(r"\[(.*?)\]", command) for extra in group.split(",")}
    assert extras <= set(metadata.metadata("feedbackward").get_all("Provides-Extra") or [])


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("feedbackward ")])
def test_command_line(command: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    script = Path(sys.executable).with_name("feedbackward")
    environment = {**os.environ, "MPLCONFIGDIR": str(tmp_path)}
    subprocess.run([script, *shlex.split(command)[1:]], cwd=tmp_path, env=environment, check=True, timeout=300)


def test_every_link_to_a_file_leads_somewhere() -> None:
    links = [link.split("#")[0] for link in re.findall(r"\]\((?!https?:)([^)#]+)", README)]
    assert [link for link in links if not (ROOT / link).exists()] == []
