"""What `fb.explain` says of cells of scan: their steps, their own variables, and where their lines run."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree

import feedbackward as fb

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
from cells import CELLS

T = 12


weight = torch.tensor(-0.1)


def leaky(state, x):
    drive = torch.linalg.matrix_exp(x).sum((-2, -1))
    mixed = weight.exp() * state + drive
    state = torch.tanh(mixed)
    return state, {"double": 2 * state}


def run_of(cell, init, xs, reverse=False):
    """Every step by hand: (carry before, x, carry after, y)."""
    steps, carry = [], init
    leaves, tree = pytree.tree_flatten(xs)
    for t in range(T)[:: -1 if reverse else 1]:
        x = tree.unflatten([leaf[t] for leaf in leaves])
        after, y = cell(carry, x)
        steps.append((carry, x, after, y))
        carry = after
    return steps[::-1] if reverse else steps


def flat(*trees):
    return [leaf.reshape(-1).double() for leaf in pytree.tree_leaves(trees) if leaf is not None]


@pytest.mark.parametrize("name", CELLS)
@torch.no_grad()
def test_steps_of_every_example(name):
    cell, init, xs, _ = CELLS[name](batch=3, steps=T)
    watched = fb.explain(cell, init, xs, elements=3)
    assert all(check.holds for check in watched.checks), watched.checks
    (track,) = watched.run.tracks
    if isinstance(cell, nn.RNNCellBase):
        return
    for t, parts in enumerate(run_of(cell, init, xs)):
        for role, expected in zip(("before", "input", "after", "output"), parts, strict=True):
            shown = [q.values[t].reshape(-1).double() for q in track.quantities if q.role == role]
            for mine, theirs in zip(shown, flat(expected), strict=True):
                torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_variables_of_the_cell_are_terms():
    init, xs = torch.zeros(5), torch.randn(T, 5, 2, 2)
    watched = fb.explain(leaky, init, xs)
    (track,) = watched.run.tracks
    assert [q.name for q in track.quantities] == ["x", "state before", "drive", "mixed", "state after", "y['double']"]
    for t, (before, x, after, y) in enumerate(run_of(leaky, init, xs)):
        v = watched.steps[t]["cell"]
        torch.testing.assert_close(v["drive"], torch.linalg.matrix_exp(x).sum((-2, -1)))
        torch.testing.assert_close(v["mixed"], weight.exp() * before + v["drive"])
        torch.testing.assert_close(v["state after"], after)
        torch.testing.assert_close(v["y['double']"], y["double"])


def test_lines_say_where_they_run():
    listing = fb.explain(leaky, torch.zeros(5), torch.randn(T, 5, 2, 2)).details
    where = {line.text.strip(): line.where for line in listing.lines}
    assert listing.file == "test_explain_cells.py"
    assert where["drive = torch.linalg.matrix_exp(x).sum((-2, -1))"] == ("sequence",)
    assert where["mixed = weight.exp() * state + drive"] == ("loop", "once")
    assert where["state = torch.tanh(mixed)"] == ("loop",)
    assert where["def leaky(state, x):"] == ()
    assert listing.program is not None
    assert "linalg_matrix_exp" in listing.program.along
    assert str(fb.explain_cell(leaky, torch.zeros(5), torch.randn(T, 5, 2, 2))) == str(listing.program)


def helper(x):
    return torch.sinh(x)


def test_lines_of_what_a_cell_calls_are_shown_too():
    def calls(h, x):
        h = helper(h + x)
        return h, h

    listing = fb.explain(calls, torch.zeros(3), torch.randn(T, 3)).details
    assert [(line.text, line.where) for line in listing.others] == [("return torch.sinh(x)", ("loop",))]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("start", [0, 4])
@torch.no_grad()
def test_windows_and_directions(start, reverse):
    def cell(h, x):
        h = 0.5 * h + x
        return h, h + 1

    x = torch.randn(3, T)
    watched = fb.explain(fb.scan, cell, torch.zeros(3), x, dim=1, reverse=reverse, start=start, steps=5)
    _, y = fb.scan(cell, torch.zeros(3), x, dim=1, reverse=reverse)
    (track,) = watched.run.tracks
    assert track.reverse == reverse
    assert [step.time for step in watched.steps] == list(range(start, start + 5))
    torch.testing.assert_close(track["y"].values, y[:, start : start + 5].T)
    assert all(check.holds for check in watched.checks)


@pytest.mark.parametrize("dim", [0, -1])
def test_time_that_is_the_only_axis_of_xs(dim):
    x = torch.randn(T)
    watched = fb.explain(lambda h, x: (h + x, h), torch.zeros(3), x, dim=dim)
    assert watched.checks[0].holds
    assert watched.run.track("cell")["y"].values.shape == (T, 3)


def test_a_cell_that_reads_nothing():
    watched = fb.explain(lambda h, _: (h / 2, h), torch.ones(2), None, length=4)
    assert watched.run.track("cell")["y"].values.tolist() == [[1, 1], [0.5, 0.5], [0.25, 0.25], [0.125, 0.125]]


def test_modules_and_partials():
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.tensor(0.5))

        def forward(self, h, x):
            h = self.gain * h + x
            return h, h

    watched = fb.explain(Cell(), torch.zeros(2), torch.ones(T, 2))
    assert [(w.name, w.values.item()) for w in watched.weights] == [("gain", 0.5)]
    assert any("self.gain * h + x" in line.text and line.where == ("loop",) for line in watched.details.lines)

    def scaled(gain, h, x):
        h = gain * h + x
        return h, h

    watched = fb.explain(functools.partial(scaled, torch.tensor(0.5)), torch.zeros(2), torch.ones(T, 2))
    assert watched.run.track("cell").quantities[1].name == "h before"
    assert watched.checks[0].holds


def test_a_cell_that_no_program_can_be_made_of_is_watched_all_the_same():
    def branches(h, x):
        if x.sum() > 0:
            h = h + x
        return h, h

    watched = fb.explain(branches, torch.zeros(3), torch.randn(T, 3))
    assert watched.details.program is None
    assert "data-dependent" in watched.details.refusal
    assert "torch.where" in watched.html()
    assert "ran eagerly" in watched.notes[0]
    assert watched.checks[0].holds
    assert "torch.where" in str(watched)


def test_source_that_is_not_at_hand():
    names: dict[str, object] = {}
    exec("def cell(h, x):\n    return h + x, h", names)
    watched = fb.explain(names["cell"], torch.zeros(3), torch.randn(T, 3))
    assert watched.details.lines == ()
    assert "not at hand" in watched.html()


def test_elements_of_a_batch_and_numbers_that_are_no_floats():
    def cell(h, x):
        above = x > h
        return torch.where(above, x, h), above

    watched = fb.explain(cell, torch.zeros(6, 2), torch.randn(T, 6, 2), elements=3)
    assert [(c.name, c.places, c.total) for c in watched.run.choices] == [("batch element", (0, 1, 2), 6)]
    assert watched.run.track("cell")["y"].values.shape == (T, 3, 2)
    assert watched.checks[0].holds


def test_a_profiler_of_the_user_stays():
    seen = []

    def profiler(frame, event, _):
        seen.append(event)

    before = sys.getprofile()
    sys.setprofile(profiler)
    try:
        fb.explain(leaky, torch.zeros(5), torch.randn(T, 5, 2, 2))
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(before)


def test_what_scan_refuses_is_refused():
    with pytest.raises(NotImplementedError, match="pair"):
        fb.explain(lambda h, x: h + x, torch.zeros(3), torch.randn(T, 3))
    with pytest.raises(ValueError, match="start is 12, but xs has 12 steps"):
        fb.explain(leaky, torch.zeros(5), torch.randn(T, 5, 2, 2), start=12)
    with pytest.raises(TypeError, match="f is filtfilt, expected"):
        fb.explain(fb.filtfilt, torch.ones(3), torch.ones(3, 4))


def test_a_cell_of_a_notebook_has_no_file(tmp_path):
    """Where IPython runs it from, a temporary file whose name says nothing."""
    folder = tmp_path / "ipykernel_17"
    folder.mkdir()
    path = folder / "3005687363.py"
    path.write_text("def leaky(h, x):\n    h = 0.9 * h + x\n    return h, h\n")
    names: dict = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    listing = fb.explain(names["leaky"], torch.zeros(3), torch.randn(T, 3)).details
    assert listing.file == ""
    assert [line.where for line in listing.lines] == [(), ("loop",), ()]
