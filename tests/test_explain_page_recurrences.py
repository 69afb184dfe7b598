"""Pages of linear recurrences in a real browser: diagram, complex plane, memory and decays of the chosen channel."""

from __future__ import annotations

import math
import re

import pytest
import torch
from browser import Reader, number
from pages import near, rotations, same, saved, selective, shown, smoother, texts

import feedbackward as fb

pytest.importorskip("playwright")
pytest.importorskip("latex2mathml")


def live(reader: Reader) -> dict[str, str]:
    names = ("x", "h before", "decay h", "h after")
    found = {name: texts(reader, f"[data-live='{name}']")[0] for name in names}
    return {**found, "h before": found["h before"].split(" = ")[1], "decay": texts(reader, "[data-coefficient]")[0]}


def test_the_diagram_carries_the_numbers_of_the_step(chromium, tmp_path):
    watched, path = saved(smoother, tmp_path)
    with Reader(chromium, path) as reader:
        for _ in range(3):
            reader.page.click("[data-do=forward]")
        assert reader.where() == "step 4 of 30: t = 3"
        values = watched.steps[3]["recurrence"]
        same(reader.numbers(), values)
        for name, text in live(reader).items():
            near(text, values[name].item())
        assert reader.errors == []


@pytest.mark.parametrize("make", [rotations, selective])
def test_the_chosen_channel_of_the_chosen_element_is_drawn(chromium, make, tmp_path):
    watched, path = saved(make, tmp_path)
    with Reader(chromium, path) as reader:
        page = reader.page
        page.select_option("[data-choice='0']", "1")
        page.select_option("#channel", "4")
        page.click("[data-do=forward]")
        values = shown(watched, "recurrence", 1, 1)
        same(reader.numbers(), values)
        for name, text in live(reader).items():
            number(text)
            assert number(text) == pytest.approx(values[name][4].item(), rel=6e-3, abs=6e-4)
        chosen = page.eval_on_selector_all("tr.chosen th", "all => all.map(e => e.textContent)")
        assert chosen == (["channel 4"] if make is rotations else ["batch element 1, channel 4"])
        assert reader.errors == []


def test_a_click_chooses_a_channel(chromium, tmp_path):
    _, path = saved(rotations, tmp_path)
    with Reader(chromium, path) as reader:
        reader.page.click('.row[data-name="h after"] .cell[data-channel="2"]')
        assert reader.page.input_value("#channel") == "2"
        assert reader.page.eval_on_selector(".curve.chosen", "e => e.dataset.place") == "2"
        readout = str(reader.page.text_content("#readout"))
        assert "x = " in readout  # the x of a channel belongs to its state
        assert "decay = " in readout


def ends(reader: Reader, name: str) -> tuple[complex, complex]:
    """Where an arrow in the complex plane begins and ends, in pixels from its origin."""
    path = reader.page.get_attribute(f"#phasor .{name}", "d")
    (x, y), (to_x, to_y) = ((float(a), float(b)) for a, b in re.findall(r"[ML](-?[\d.e-]+) (-?[\d.e-]+)", path)[:2])
    return complex(x - 180, 150 - y), complex(to_x - 180, 150 - to_y)


def test_the_state_turns_in_the_complex_plane(chromium, tmp_path):
    watched, path = saved(rotations, tmp_path)
    with Reader(chromium, path) as reader:
        reader.page.select_option("#channel", "3")
        for time in (1, 2, 3):
            reader.page.click("[data-do=forward]")
            v = {name: values[3].item() for name, values in shown(watched, "recurrence", time, 0).items()}
            unit = 132 / watched.run.track("recurrence")["h after"].values[:, 0, 3].abs().max().item()
            for name, begin, end in (
                ("before", 0, v["h before"]),
                ("kept", 0, v["decay h"]),
                ("added", v["decay h"], v["h after"]),
                ("after", 0, v["h after"]),
            ):
                assert ends(reader, name) == pytest.approx((unit * begin, unit * end), abs=0.2)
        trail = reader.page.get_attribute("#phasor .trail", "d")
        assert trail.count("L") == 3


@pytest.mark.parametrize("make", [smoother, rotations, selective])
def test_the_memory_can_be_read(chromium, make, tmp_path):
    watched, path = saved(make, tmp_path)
    steps, start = watched.run.steps, watched.run.start
    weights = watched.details.weights
    with Reader(chromium, path) as reader:
        page = reader.page
        if make is not smoother:
            page.select_option("#channel", "1")
        page.eval_on_selector("#slider", "s => { s.value = 6; s.dispatchEvent(new Event('input')); }")
        box = page.locator("#memory").bounding_box()
        page.locator("#memory").scroll_into_view_if_needed()
        for k in (0, 2, 5, 6):
            page.hover("#memory", position={"x": box["width"] * (k + 0.5) / steps, "y": 50})
            expected = weights[6, 0, min(1, weights.shape[2] - 1), k + 1].item()
            left, right = texts(reader, "#memory-read")[0].split(" = … + ")
            assert left == f"h[{start + 6}]"
            value, what = right.removesuffix(" + …").rsplit(" ", 1)
            assert what == f"x[{start + k}]"
            assert number(value.strip("()")) == pytest.approx(expected, rel=1e-5, abs=1e-9)
        page.hover("#memory", position={"x": box["width"] * 9.5 / steps, "y": 50})
        assert texts(reader, "#memory-read") == [""]  # x that has not come yet is in no state
        page.hover("h1")
        assert f"h[{start - 1}]" in texts(reader, "#memory-read")[0]
        assert reader.errors == []


def test_a_memory_that_is_not_on_the_page_says_so(chromium, tmp_path):
    watched = fb.explain(fb.linear_recurrence, torch.rand(4, 80, 30), torch.randn(4, 80, 30), dim=1)
    with Reader(chromium, watched.save(tmp_path / "page.html")) as reader:
        kept = 100_000 // (64 * 65 * 4)
        reader.page.select_option("#channel", str(kept - 1))
        assert texts(reader, "#memory-of") == [f"of channel {kept - 1}"]
        assert "h[0] = " in texts(reader, "#memory-read")[0]
        reader.page.select_option("#channel", str(kept))
        assert texts(reader, "#memory-of") == [f"is on this page for the first {kept} channels"]
        assert texts(reader, "#memory-read") == [""]
        assert reader.errors == []
    watched = fb.explain(fb.linear_recurrence, 0.999, torch.randn(700), steps=700)
    assert watched.details.weights.shape == (512, 1, 1, 513)
    with Reader(chromium, watched.save(tmp_path / "page.html")) as reader:
        kept = math.isqrt(100_000) - 1
        for time, says in ((kept - 1, ""), (kept, f"is on this page for the first {kept} steps")):
            reader.page.eval_on_selector(
                "#slider", f"s => {{ s.value = {time}; s.dispatchEvent(new Event('input')); }}"
            )
            assert texts(reader, "#memory-of") == [says]
        assert reader.errors == []


def test_a_memory_that_grows_says_how_far(chromium, tmp_path):
    watched = fb.explain(fb.linear_recurrence, torch.tensor([0.5, 1.5]), torch.randn(2, 9))
    with Reader(chromium, watched.save(tmp_path / "page.html")) as reader:
        reader.page.keyboard.press("End")
        assert texts(reader, "#memory-of") == ["of channel 0"]
        reader.page.select_option("#channel", "1")
        assert texts(reader, "#memory-of") == [f"of channel 1, up to {1.5**8:.6g}"]
        assert reader.errors == []


def test_the_table_of_decays(chromium, tmp_path):
    watched, path = saved(rotations, tmp_path)
    with Reader(chromium, path) as reader:
        rows = reader.page.eval_on_selector_all(
            "#decays tbody tr", "rows => rows.map(r => [...r.cells].map(c => c.textContent))"
        )
        assert [tuple(cell.replace("\N{MINUS SIGN}", "-") for cell in row) for row in rows] == list(
            watched.details.rows()
        )
