"""``feedbackward info`` and the help."""

from __future__ import annotations

import pytest
import torch
from cli_support import Run, runner

import feedbackward as fb


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def test_versions_instruction_set_and_threads(run: Run) -> None:
    from feedbackward.ops.library import isa

    outcome = run("info")
    assert outcome.code == 0
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none that torch sees"
    for word in (fb.__version__, torch.__version__, isa(), gpu, f"{torch.get_num_threads()} of"):
        assert word in outcome.out


def test_what_a_missing_extra_would_give(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from feedbackward.cli import info

    installed = info._version
    monkeypatch.setattr(info, "_version", lambda name: None if name == "jax" else installed(name))
    outcome = run("info")
    assert 'pip install "feedbackward[bench]"' in outcome.out
    assert 'pip install "feedbackward[audio]"' not in outcome.out


def test_without_torch(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from feedbackward.cli import info

    monkeypatch.setattr(info, "_version", lambda name: None)
    outcome = run("info")
    assert outcome.code == 0
    assert "missing: filters need it" in outcome.out


def test_help_names_the_commands(run: Run) -> None:
    outcome = run("--help")
    assert outcome.code == 0
    for command in ("fit", "bank", "info"):
        assert command in outcome.out
        assert run(command, "--help").code == 0


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"feedbackward {fb.__version__}\n", "")
