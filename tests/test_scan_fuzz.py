"""Hundreds of random cells, in float64, values and gradients of first and second order, against the plain loop.

FEEDBACKWARD_FUZZ=20 runs twenty times as many, others on top of those of every run. A failure prints a small cell.
"""

from __future__ import annotations

import os

import pytest
import scan_fuzz

CELLS = 30


@pytest.mark.parametrize("block", range(8 * int(os.environ.get("FEEDBACKWARD_FUZZ", "1"))))
def test_random_cells(block):
    for seed in range(CELLS * block, CELLS * (block + 1)):
        recipe = scan_fuzz.grow(seed)
        if message := scan_fuzz.failure(recipe):
            small = scan_fuzz.shrink(recipe)
            pytest.fail(f"{scan_fuzz.failure(small) or message}\n\n{small}", pytrace=False)


def test_random_cells_run():
    """Few of them may be no cells at all, and together they use every line there is."""
    recipes = [scan_fuzz.grow(seed) for seed in range(8 * CELLS)]
    text = "\n".join(str(r) for r in recipes)
    for templates in scan_fuzz.TEMPLATES:
        for template in templates:
            head = max(template.replace("{a}", "\0").replace("{b}", "\0").split("\0"), key=len)
            assert head in text, template
    broken = 0
    for recipe in recipes[:40]:
        cell, init, xs, _ = recipe.make()
        try:
            cell(init, tuple(x[0] for x in xs))
        except Exception:
            broken += 1
    assert broken == 0


def test_a_wrong_cell_is_found_and_cut_down(monkeypatch):
    """The fuzzer itself: with a tanh that is wrong, it ends with a cell of a line or two."""
    from feedbackward.engine import pointwise, prepare

    monkeypatch.setattr(prepare, "_known", type(prepare._known)())  # no program of a cell that was right
    monkeypatch.setitem(pointwise.POINTWISE, "tanh", lambda f, a: f("sin", a))
    recipes = (scan_fuzz.grow(seed) for seed in range(200))
    small = scan_fuzz.shrink(next(r for r in recipes if "differ" in scan_fuzz.failure(r)))
    assert "differ" in scan_fuzz.failure(small)
    assert len(small.lines) <= 2, str(small)
