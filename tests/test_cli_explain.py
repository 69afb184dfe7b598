"""``feedbackward explain``: new layers, layers of saved weights, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from cli_support import Run, runner
from torch import nn

import feedbackward as fb


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def explained(run: Run, *arguments: object) -> str:
    outcome = run("explain", *arguments)
    assert outcome.code == 0, outcome.err
    return outcome.out


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        (["--layer", "rnn", "--nonlinearity", "relu"], "fb.nn.RNN(4, 8, nonlinearity='relu')"),
        (["--layer", "gru", "--input", 3, "--hidden", 5, "--layers", 2], "fb.nn.GRU(3, 5, num_layers=2)"),
        (
            ["--layer", "lstm", "--projection", 2, "--bidirectional"],
            "fb.nn.LSTM(4, 8, bidirectional=True, proj_size=2)",
        ),
        (["--layer", "bandrnn", "--band-width", "1,2"], "fb.nn.BandRNN(4, 8, structure=Banded(lower=1, upper=2))"),
        (["--batch-first"], "fb.nn.RNN(4, 8, batch_first=True)"),
    ],
)
def test_new_layers(run: Run, tmp_path: Path, arguments: list[object], title: str) -> None:
    page = tmp_path / "deep" / "page.html"
    out = explained(run, *arguments, "--length", 6, "--batch", 3, "-o", page)
    assert out.splitlines()[0] == title
    assert "6 steps" in out
    assert f"page in {page}" in out.replace("\n", "")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "<title>" in text


def test_a_seed_makes_the_same_page(run: Run, tmp_path: Path) -> None:
    pages = [tmp_path / f"{n}.html" for n in range(3)]
    for page, seed in zip(pages, (1, 1, 2), strict=True):
        explained(run, "--seed", seed, "-o", page)
    texts = [page.read_bytes() for page in pages]
    assert texts[0] == texts[1] != texts[2]


SAVED = [
    (nn.RNN(3, 5, 2, bidirectional=True), [], "fb.nn.RNN(3, 5, num_layers=2, bidirectional=True)"),
    (nn.GRU(3, 5, bias=False), [], "fb.nn.GRU(3, 5, bias=False)"),
    (nn.LSTM(3, 5, proj_size=2).double(), [], "fb.nn.LSTM(3, 5, proj_size=2)"),
    (nn.GRUCell(3, 5), [], "fb.nn.GRU(3, 5)"),
    (fb.nn.BandRNN(3, 6, 2), [], "fb.nn.RNN(3, 6, structure=Banded(lower=2, upper=2))"),
    (fb.nn.BandRNN(3, 6, (0, 2)), ["--band-width", "0,2"], "fb.nn.RNN(3, 6, structure=Banded(lower=0, upper=2))"),
    (fb.nn.GRU(3, 6, structure=fb.BlockDiagonal(3)), ["--layer", "gru"], "structure=BlockDiagonal(blocks=3))"),
    (fb.nn.LSTM(3, 6, structure=fb.Diagonal(), layer_norm=True), ["--layer", "lstm"], "structure=Diagonal()"),
    (nn.RNN(3, 5).half(), [], "fb.nn.RNN(3, 5)"),
]


@pytest.mark.parametrize(("layer", "more", "title"), SAVED, ids=[title for _, _, title in SAVED])
def test_saved_layers(run: Run, tmp_path: Path, layer: nn.Module, more: list[str], title: str) -> None:
    torch.save(layer.state_dict(), tmp_path / "layer.pt")
    page = tmp_path / "page.html"
    out = explained(run, "--weights", tmp_path / "layer.pt", *more, "-o", page)
    assert title in out.split("\n\n")[0].replace("\n", " ")
    assert "DIFFERS" not in out
    assert (
        f"{layer.state_dict()['weight_ih_l0' if hasattr(layer, 'num_layers') else 'weight_ih'].max().item():.3g}" in out
    )


def test_a_layer_among_others(run: Run, tmp_path: Path) -> None:
    model = nn.ModuleDict({"encoder": nn.GRU(3, 5), "decoder": nn.LSTM(5, 4), "head": nn.Linear(4, 2)})
    torch.save({"state_dict": model.state_dict()}, tmp_path / "model.pt")
    assert "fb.nn.LSTM(5, 4)" in explained(run, "--weights", tmp_path / "model.pt", "--prefix", "decoder")
    outcome = run("explain", "--weights", tmp_path / "model.pt")
    assert outcome.code == 2
    assert "there are 2 recurrent layers: choose one by --prefix decoder. or encoder." in outcome.err
    outcome = run("explain", "--weights", tmp_path / "model.pt", "--prefix", "head")
    assert "--prefix is head, expected one of 'decoder.', 'encoder.'" in outcome.err


def saved(folder: Path, what: object) -> Path:
    path = folder / "weights.pt"
    torch.save(what, path)
    return path


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ([1, 2], "holds a list, expected a state_dict"),
        (nn.Linear(2, 2).state_dict(), "no recurrent layer among the weights"),
        ({"weight_ih_l0": torch.ones(7, 2), "weight_hh_l0": torch.ones(7, 5)}, "7 rows for 5 channels"),
        ({"weight_ih_l0": torch.ones(5, 2), "weight_hh_l0": torch.ones(4, 5)}, "4 diagonals: --band-width LOWER,UPPER"),
        ({"weight_ih_l0": torch.ones(6, 2), "weight_hh_l0": torch.ones(6)}, "--layer says them"),
        ({"weight_ih_l0": torch.ones(5, 2), "weight_hh_l0": torch.ones(5, 5), "bias_ih_l0": torch.ones(5)}, "no RNN"),
    ],
)
def test_weights_that_are_refused(run: Run, tmp_path: Path, weights: object, says: str) -> None:
    outcome = run("explain", "--weights", saved(tmp_path, weights), "-o", tmp_path / "page.html")
    assert outcome.code == 2
    assert outcome.err.startswith("feedbackward: ")
    assert says in outcome.err
    assert outcome.err.strip().count("\n") == 0
    assert not (tmp_path / "page.html").exists()


class Executes:
    """What would run on loading, were it loaded carelessly."""

    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def test_files_that_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("not weights")
    for name, says in (
        ("text.pt", "cannot be read as a state_dict"),
        ("none.pt", "does not exist"),
        (".", "is a folder"),
    ):
        outcome = run("explain", "--weights", tmp_path / name)
        assert (outcome.code, says in outcome.err) == (2, True)
    outcome = run("explain", "--weights", saved(tmp_path, {"weight_ih_l0": Executes()}))
    assert outcome.code == 2
    assert "cannot be read as a state_dict" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--layer", "gru", "--band-width", "1"], "--band-width is given, expected none"),
        (["--layer", "bandrnn", "--band-width", "wide"], "--band-width is wide, expected a number, or LOWER,UPPER"),
        (["--layer", "gru", "--projection", "2"], "only --layer lstm has a projection"),
        (["--layer", "lstm", "--projection", "8"], "proj_size is 8, expected less than hidden_size = 8"),
        (["--nonlinearity", "sine"], "nonlinearity is 'sine', expected one of"),
        (["--length", "5", "--start", "5"], "start is 5, but the input has 5 steps"),
    ],
)
def test_options_that_are_refused(run: Run, arguments: list[str], says: str) -> None:
    outcome = run("explain", *arguments)
    assert outcome.code == 2
    assert says in outcome.err
    assert "Traceback" not in outcome.err


def test_a_page_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    outcome = run("explain", "-o", tmp_path)
    assert outcome.code == 2
    assert "is a folder, expected a file for the page" in outcome.err
    (tmp_path / "file").write_text("mine")
    outcome = run("explain", "-o", tmp_path / "file" / "page.html")
    assert outcome.code == 2
    assert "cannot be written" in outcome.err


@pytest.mark.parametrize("library", ["latex2mathml", "jinja2"])
def test_a_missing_library_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    import sys

    from feedbackward.watch import page

    page.mathml.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    outcome = run("explain", "-o", tmp_path / "page.html")
    assert outcome.code == 2
    assert f"needs {library}, which is not installed" in outcome.err
    assert "pip install" in outcome.err
    with pytest.raises(ModuleNotFoundError, match=r'run `pip install "feedbackward\[explain\]"`'):
        fb.explain(nn.RNN(2, 3), torch.ones(4, 2)).html()
