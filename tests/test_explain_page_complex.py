"""Pages with complex numbers in a real browser: both parts of every number, in cells, diagrams, tables and colors."""

from __future__ import annotations

import math

import pytest
import torch
from browser import Reader
from pages import complex_cascade, complex_filter, near, same, saved, shown, texts

pytest.importorskip("playwright")
pytest.importorskip("latex2mathml")


def test_the_diagram_carries_both_parts_of_the_numbers_of_the_step(chromium, tmp_path):
    watched, path = saved(complex_filter, tmp_path)
    (found,) = watched.details.filters
    with Reader(chromium, path) as reader:
        reader.page.click("[data-do=forward]")
        reader.page.click("[data-do=forward]")
        values = watched.steps[2]["filter"]
        same(reader.numbers(), values)
        near(texts(reader, "[data-live=x]")[0], values["x"].item())  # real, as the signal is
        near(texts(reader, "[data-live=y]")[0], values["y"].item())
        for i in (1, 2):
            name, text = texts(reader, f"[data-live=s{i}]")[0].split(" = ")
            assert name == "s" + chr(0x2080 + i)
            near(text, values["s before"][i - 1].item())
            near(texts(reader, f"[data-coefficient=a{i}]")[0], -found.a[0, i].item())
        assert [t.replace("-", "−") for t in texts(reader, ".track [data-coefficient]")[:2]] == ["0.3+0.1i", "−0.2i"]
        assert reader.errors == []


def test_a_cell_has_two_lines_in_the_colors_of_their_signs(chromium, tmp_path):
    watched, path = saved(complex_filter, tmp_path)
    orange_or_blue = """lines => lines.map((line) => {
        const [r, , b] = getComputedStyle(line).backgroundColor.match(/\\d+/g).map(Number);
        return r - b;
    })"""
    with Reader(chromium, path) as reader:
        for time in range(4):
            states = watched.steps[time]["filter"]["s after"]
            for cell, value in zip(reader.cells("s after"), states.tolist(), strict=True):
                assert cell == pytest.approx(value, rel=2e-3, abs=6e-4)
            colors = reader.page.eval_on_selector_all('.row[data-name="s after"] .cell > div', orange_or_blue)
            scale = float(watched.run.track("filter")["s after"].values.abs().max())
            for red, part in zip(colors, torch.view_as_real(states).flatten().tolist(), strict=True):
                if abs(part) > 0.05 * scale:
                    assert (red > 0) == (part < 0)
            reader.page.click("[data-do=forward]")
        assert "the real part stands above the imaginary part" in texts(reader, ".legend")[0]


def test_a_number_is_read_with_its_length_and_angle(chromium, tmp_path):
    watched, path = saved(complex_filter, tmp_path)
    with Reader(chromium, path) as reader:
        reader.page.hover('.row[data-name="s after"] .cell[data-channel="0"]')
        text = str(reader.page.text_content("#readout")).replace("\N{MINUS SIGN}", "-")
        value = watched.steps[0]["filter"]["s after"][0].item()
        length, angle = text.split("s after = ")[1].split(" = ")[1].split("°")[0].split(" ∠ ")
        assert float(length) == pytest.approx(abs(value), rel=1e-5)
        assert float(angle) == pytest.approx(math.degrees(math.atan2(value.imag, value.real)), abs=0.051)


def test_weights_have_a_map_for_either_part(chromium, tmp_path):
    watched, path = saved(complex_filter, tmp_path)
    with Reader(chromium, path) as reader:
        captions = [text.split()[:3] for text in texts(reader, "#weights figcaption")]
        assert [" ".join(words) for words in captions] == [
            "b, real part",
            "b, imaginary part",
            "a, real part",
            "a, imaginary part",
        ]
        ranges = texts(reader, "#weights .range")
        for k, part in ((0, watched.weights[0].values.real), (1, watched.weights[0].values.imag)):
            assert [float(v) for v in ranges[k].split(",")] == pytest.approx(part.tolist(), rel=1e-5)


def test_a_real_cascade_of_a_complex_signal(chromium, tmp_path):
    watched, path = saved(complex_cascade, tmp_path)
    with Reader(chromium, path) as reader:
        reader.page.check("input[name=track][value='1']", force=True)
        reader.page.select_option("[data-choice='0']", "2")
        reader.page.click("[data-do=forward]")
        same(reader.numbers(), shown(watched, "section 1", 1, 2))
        for k, text in enumerate(texts(reader, "[data-section-output]")):
            near(text, watched.steps[1][f"section {k}"]["y"][2].item())
        assert "i" not in "".join(texts(reader, "[data-coefficient]"))  # its coefficients are real
        assert "imaginary" in texts(reader, "#overview .label")[0]
        assert reader.errors == []
