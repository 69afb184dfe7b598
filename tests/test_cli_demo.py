"""The demo's recordings and its truth, which feedbackward must have no part in."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_support import soundfile

import feedbackward as fb

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
DEMO = runpy.run_path(str(EXAMPLES / "demo.py"))


@pytest.mark.parametrize("name", DEMO["EQUALIZERS"])
def test_recordings_are_there_with_their_licenses(name: str) -> None:
    recording = EXAMPLES / "recordings" / name
    assert soundfile.info(recording).duration > 3
    assert name in (EXAMPLES / "recordings" / "README.md").read_text()


@pytest.mark.parametrize("name", DEMO["EQUALIZERS"])
def test_the_truth_by_scipy_is_the_cookbook(name: str) -> None:
    sections = DEMO["EQUALIZERS"][name]
    rows = [
        fb.design.KINDS[kind](*(torch.tensor(value, dtype=torch.float64) for value in knobs), sample_rate=44100)
        for kind, *knobs in sections
    ]
    np.testing.assert_allclose(DEMO["truth_sos"](sections, 44100), torch.stack(rows).numpy(force=True), atol=1e-12)


def test_the_truth_does_not_come_from_feedbackward() -> None:
    source = (EXAMPLES / "demo.py").read_text()
    assert [line for line in source.splitlines() if "import" in line and "feedbackward" in line] == [
        "from feedbackward.cli import main as feedbackward"
    ]
