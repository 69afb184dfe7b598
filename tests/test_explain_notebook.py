"""An explanation that is printed in a notebook is text there too; shown as the value of a cell it is the page."""

from __future__ import annotations

import pytest
import torch

import feedbackward as fb

pytest.importorskip("rich")


def test_printed_in_a_notebook_it_is_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    watched = fb.explain(fb.nn.RNN(3, 4), torch.randn(5, 2, 3))
    outside = str(watched)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert str(watched) == outside
    assert "weight_hh_l0" in outside
    assert capsys.readouterr().out == ""
