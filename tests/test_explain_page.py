"""The pages of `fb.explain` in a real browser, without a network: what they show is what the tensors are."""

from __future__ import annotations

import pytest
import torch
from browser import Reader
from pages import (
    band,
    bank,
    biquad,
    both_directions,
    cascade,
    cell,
    complex_cascade,
    complex_filter,
    layer,
    moving_average,
    near,
    refused_cell,
    rotations,
    same,
    saved,
    selective,
    shown,
    smoother,
    sweep,
    texts,
)
from torch import nn

import feedbackward as fb

pytest.importorskip("playwright")
pytest.importorskip("latex2mathml")


FILTERS = [biquad, bank, cascade, moving_average, sweep, complex_filter, complex_cascade]
RECURRENCES = [smoother, rotations, selective]
PAGES = [layer, both_directions, band, *FILTERS, *RECURRENCES, cell, refused_cell]
EACH = pytest.mark.parametrize("make", PAGES, ids=lambda make: make.__name__)


@EACH
@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_loads_alone_and_fits(chromium, make, width, scheme, tmp_path):
    watched, path = saved(make, tmp_path)
    assert path.stat().st_size < 3e6
    with Reader(chromium, path, width, scheme) as reader:
        page = reader.page
        assert page.title() == watched.title
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = page.eval_on_selector_all(
            "math",
            "all => all.filter(m => m.checkVisibility()).map(m => m.getBoundingClientRect())"
            ".map(b => [b.width, b.height])",
        )
        assert sizes
        assert all(wide > 4 and high > 8 for wide, high in sizes)
        texts = page.evaluate(LEGIBLE)
        assert texts["smallest"] >= 12
        assert texts["faintest"] >= 4.5, texts["where"]
        page.keyboard.press("End")
        assert reader.errors == []
        assert reader.requests == [path.as_uri()]


# The smallest type, and the least contrast of a text with the paper below it, of all texts that are shown.
LEGIBLE = """() => {
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const parts = (color) => color.match(/[\\d.]+/g).map(Number);
    const paper = (e) => {
        for (; e; e = e.parentElement) {
            const [r, g, b, a = 1] = parts(getComputedStyle(e).backgroundColor);
            if (a > 0) return [r, g, b];
        }
        return [255, 255, 255];
    };
    let smallest = 99, faintest = 99, where = "";
    const walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const e = walk.currentNode.parentElement;
        if (!walk.currentNode.textContent.trim() || !e.checkVisibility()) continue;
        if (e.closest("math, script, option")) continue;
        const style = getComputedStyle(e), drawing = e.closest("svg");
        if (drawing) {
            const size = parseFloat(style.fontSize) * drawing.getScreenCTM().a;
            if (!e.closest("tspan") && size < smallest) smallest = size;
            continue;
        }
        smallest = Math.min(smallest, parseFloat(style.fontSize));
        const [a, b] = [luminance(parts(style.color).slice(0, 3)), luminance(paper(e))].sort((x, y) => y - x);
        const contrast = (a + 0.05) / (b + 0.05);
        if (contrast < faintest) [faintest, where] = [contrast, e.outerHTML.slice(0, 200)];
    }
    return { smallest, faintest, where };
}"""


def test_every_way_to_step_shows_the_tensors_of_that_step(chromium, tmp_path):
    watched, path = saved(layer, tmp_path)
    with Reader(chromium, path) as reader:
        page = reader.page

        def at(time: int, track: str = "layer 0", element: int = 0) -> None:
            assert reader.where() == f"step {time + 1} of 9: t = {time}"
            expected = shown(watched, track, time, element)
            same(reader.numbers(), expected)
            for name, values in expected.items():
                torch.testing.assert_close(torch.tensor(reader.cells(name)), values, rtol=2e-3, atol=6e-4)

        at(0)
        page.click("[data-do=forward]")
        at(1)
        page.click("[data-do=last]")
        at(8)
        page.click("[data-do=back]")
        at(7)
        page.click("[data-do=first]")
        at(0)
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        at(2)
        page.keyboard.press("ArrowLeft")
        at(1)
        page.keyboard.press("End")
        at(8)
        page.keyboard.press("Home")
        at(0)
        page.eval_on_selector("#slider", "s => { s.value = 5; s.dispatchEvent(new Event('input')); }")
        at(5)
        page.focus("#slider")
        page.keyboard.press("ArrowLeft")
        at(4)
        assert page.get_attribute("#slider", "aria-valuetext") == "step 5 of 9: t = 4"
        page.check("input[name=track][value='1']", force=True)
        at(4, "layer 1")
        page.select_option("[data-choice='0']", "2")
        at(4, "layer 1", 2)
        box = page.locator("#overview canvas").nth(1).bounding_box()
        page.mouse.click(box["x"] + box["width"] * 6.5 / 9, box["y"] + 5)
        at(6, "layer 0", 2)
        assert reader.errors == []


def test_a_single_step_needs_no_player(chromium, tmp_path):
    with torch.no_grad():
        watched = fb.explain(nn.LSTMCell(4, 6), torch.randn(2, 4))
    with Reader(chromium, watched.save(tmp_path / "page.html")) as reader:
        assert not reader.page.is_visible("#slider")
        assert not reader.page.is_visible("[data-do=play]")
        same(reader.numbers(), shown(watched, "layer 0", 0, 0))
        assert reader.errors == []


def test_a_link_opens_a_step(chromium, tmp_path):
    _, path = saved(layer, tmp_path)
    with Reader(chromium, path) as reader:
        reader.page.goto(f"{path.as_uri()}#step=7")
        assert reader.where() == "step 7 of 9: t = 6"
        reader.page.goto(f"{path.as_uri()}#step=99")
        assert reader.where() == "step 9 of 9: t = 8"


def test_playing_goes_on_and_pauses(chromium, tmp_path):
    from playwright.sync_api import expect

    _, path = saved(layer, tmp_path)
    with Reader(chromium, path) as reader:
        page = reader.page
        page.keyboard.press(" ")
        expect(page.locator("#where")).to_contain_text("step 3 of")
        page.keyboard.press(" ")
        assert page.get_attribute("[data-do=play]", "aria-label") == "Play"
        stopped = reader.where()
        page.wait_for_timeout(1000)
        assert reader.where() == stopped
        page.keyboard.press("End")
        page.click("[data-do=play]")
        expect(page.locator("#where")).to_contain_text("step 2 of")
        assert page.get_attribute("[data-do=play]", "aria-label") == "Pause"


def test_directions_and_ends_of_sequences(chromium, tmp_path):
    watched, path = saved(both_directions, tmp_path)
    with Reader(chromium, path) as reader:
        page = reader.page
        page.check("input[name=track][value='1']", force=True)
        assert reader.where() == "step 1 of 9: t = 8"
        same(reader.numbers(), shown(watched, "layer 0, reverse", 8, 0))
        page.select_option("[data-choice='0']", "1")
        assert reader.where() == "step 1 of 9: t = 8, after the end of this sequence"
        page.click("h1")
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        assert reader.where() == "step 6 of 9: t = 3"
        same(reader.numbers(), shown(watched, "layer 0, reverse", 3, 1))
        assert reader.errors == []


def test_a_channel_can_be_read_through_all_terms(chromium, tmp_path):
    watched, path = saved(layer, tmp_path)
    with Reader(chromium, path) as reader:
        reader.page.hover('.track:not([hidden]) .row[data-name="a"] .cell[data-channel="2"]')
        values = shown(watched, "layer 0", 0, 0)
        text = str(reader.page.text_content("#readout")).replace("\N{MINUS SIGN}", "-")
        for name in ("W_ih x", "a", "h after"):
            assert f"{name} = {float(f'{values[name][2].item():.6g}'):.6g}" in text


def test_a_band_is_seen_as_a_band(chromium, tmp_path):
    watched, path = saved(band, tmp_path)
    (weight,) = (w for w in watched.weights if w.name == "weight_hh_l0")
    with Reader(chromium, path) as reader:
        name = "Heat map of weight_hh_l0, 40 × 40"
        colored = reader.page.eval_on_selector(
            f'canvas[aria-label^="{name}"]',
            """canvas => {
                const side = canvas.width / 40, context = canvas.getContext("2d");
                const share = (i, j) => {
                    const data = context.getImageData(j * side + 1, i * side + 1, side - 2, side - 2).data;
                    let opaque = 0;
                    for (let k = 3; k < data.length; k += 4) opaque += data[k] > 127;
                    return opaque / (data.length / 4);
                };
                return Array.from({ length: 40 }, (_, i) => Array.from({ length: 40 }, (_, j) => share(i, j)));
            }""",
        )
        assert torch.equal(torch.tensor(colored) > 0.5, weight.inside)


def test_the_block_diagram_carries_the_numbers_of_the_step(chromium, tmp_path):
    watched, path = saved(biquad, tmp_path)
    (found,) = watched.details.filters
    with Reader(chromium, path) as reader:
        reader.page.click("[data-do=forward]")
        reader.page.click("[data-do=forward]")
        assert reader.where() == "step 3 of 30: n = 2"
        values = watched.steps[2]["filter"]
        same(reader.numbers(), values)
        near(texts(reader, "[data-live=x]")[0], values["x"].item())
        near(texts(reader, "[data-live=y]")[0], values["y"].item())
        for i in (1, 2):
            name, text = texts(reader, f"[data-live=s{i}]")[0].split(" = ")
            assert name == "s" + chr(0x2080 + i)
            near(text, values["s before"][i - 1].item())
            near(texts(reader, f"[data-coefficient=a{i}]")[0], -found.a[0, i].item())
        near(texts(reader, "[data-coefficient=b0]")[0], found.b[0, 0].item())
        assert reader.errors == []


def test_coefficients_that_change_change_in_the_diagram(chromium, tmp_path):
    watched, path = saved(sweep, tmp_path)
    with Reader(chromium, path) as reader:
        for time in (0, 2, 3):
            reader.page.eval_on_selector(
                "#slider", f"s => {{ s.value = {time}; s.dispatchEvent(new Event('input')); }}"
            )
            near(texts(reader, "[data-coefficient=a1]")[0], -watched.steps[time]["filter"]["a"][1].item())


def test_a_bank_shows_the_chosen_filter(chromium, tmp_path):
    watched, path = saved(bank, tmp_path)
    with Reader(chromium, path) as reader:
        page = reader.page
        page.select_option("[data-choice='0']", label="20")
        page.select_option("[data-choice='1']", "1")
        same(reader.numbers(), shown(watched, "filter", 0, 2, 1))
        assert texts(reader, "#filter p[data-filter]") == [
            f"Stable: the outermost pole has radius {watched.details.filters[2].radius:.6g}."
        ]
        assert page.eval_on_selector_all(".curve.chosen", "all => all.map(e => e.dataset.filter)") == ["2", "2"]
        near(texts(reader, "[data-coefficient=b0]")[0], watched.details.filters[2].b[0, 0].item())


def test_a_cascade_shows_the_output_of_every_section(chromium, tmp_path):
    watched, path = saved(cascade, tmp_path)
    with Reader(chromium, path) as reader:
        reader.page.check("input[name=track][value='1']", force=True)
        reader.page.click("[data-do=forward]")
        assert reader.where() == "step 2 of 64: n = 101"
        same(reader.numbers(), watched.steps[1]["section 1"])
        for k, text in enumerate(texts(reader, "[data-section-output]")):
            near(text, watched.steps[1][f"section {k}"]["y"].item())
        assert texts(reader, ".delay.here + .inside") == ["1"]


def test_a_cell_stands_beside_its_program(chromium, tmp_path):
    watched, path = saved(cell, tmp_path)
    with Reader(chromium, path) as reader:
        rows = reader.page.eval_on_selector_all(
            ".source tr", "rows => rows.map(r => [...r.cells].map(c => c.innerText.trim().split(/\\s+/).join(' ')))"
        )
        where = {text: runs for _, runs, text in rows}
        assert where["rectified = torch.linalg.vector_norm(x, dim=-1)"] == "sequence"
        assert where["level = torch.maximum(rectified, decay.sqrt() * level)"] == "loop once"
        program = texts(reader, "pre")[0].splitlines()
        assert program == list(watched.details.program.forward)
        reader.page.keyboard.press("End")
        same(reader.numbers(), watched.steps[24]["cell"])
        assert "rectified" in reader.numbers()


def test_what_a_user_wrote_stays_text(chromium, tmp_path):
    def hostile(h, x):
        """</script><img src='https://example.org/x' onerror='throw 1'><script>throw 2</script>."""
        h = h + x
        return h, {"<b>": h}

    path = fb.explain(hostile, torch.zeros(3), torch.randn(5, 3)).save(tmp_path / "page.html")
    with Reader(chromium, path) as reader:
        assert reader.page.locator("main img").count() == 0
        assert "onerror='throw 1'" in str(reader.page.text_content(".source"))
        assert reader.errors == []
        assert reader.requests == [path.as_uri()]


# What eyes without one kind of cone see: G. M. Machado, M. M. Oliveira and L. A. F. Fernandes, "A physiologically-based
# model for simulation of color vision deficiency", IEEE Transactions on Visualization and Computer Graphics 15, 2009.
DEFICIENCIES = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_signs_are_told_apart_with_any_color_vision(chromium, tmp_path, scheme, deficiency):
    _, path = saved(layer, tmp_path)
    with Reader(chromium, path, scheme=scheme) as reader:
        pixels = reader.page.eval_on_selector(
            "#legend", "c => [...c.getContext('2d').getImageData(0, 5, c.width, 1).data]"
        )
    colors = torch.tensor(pixels, dtype=torch.float64).view(-1, 4)[:, :3] / 255
    linear = torch.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    seen = (linear @ torch.tensor(DEFICIENCIES[deficiency], dtype=torch.float64).T).clamp(0, 1)
    seen = torch.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    half = len(seen) // 2
    apart = (seen[:half].flip(0) - seen[-half:]).norm(dim=1)  # equal magnitudes of both signs, small ones first
    assert apart[half // 3 :].min() > 0.2
    assert (seen[0] - seen[half]).norm() > 0.4
    assert (seen[-1] - seen[half]).norm() > 0.4


def test_a_large_layer_makes_a_small_page_that_says_what_it_leaves_out(chromium, tmp_path):
    with torch.no_grad():
        watched = fb.explain(nn.LSTM(300, 512, 3, bidirectional=True), torch.randn(200, 16, 300))
    path = watched.save(tmp_path / "page.html")
    assert path.stat().st_size < 3e6
    with Reader(chromium, path) as reader:
        limits = str(reader.page.text_content("#limits"))
        assert "Steps 0 to 63 of 200 are shown" in limits
        assert "4 of 16 batch elements are shown" in limits
        assert "the first" in limits
        assert "entry of largest magnitude of its block" in limits
        steps = int(reader.where().split(" of ")[1].split(":")[0])
        assert f"plays the first {steps} of these 64 steps" in limits
        reader.page.keyboard.press("End")
        found, expected = reader.numbers(), shown(watched, "layer 0, forward", steps - 1, 0)
        for name, values in found.items():
            torch.testing.assert_close(torch.tensor(values), expected[name][: len(values)], rtol=1e-5, atol=1e-30)
        assert reader.errors == []


def test_a_notebook_shows_the_page_in_a_frame(chromium, tmp_path):
    watched, _ = saved(layer, tmp_path)
    path = tmp_path / "notebook.html"
    path.write_text(
        f"<!doctype html><meta charset='utf-8'><title>notebook</title>{watched._repr_html_()}", encoding="utf-8"
    )
    with Reader(chromium, path) as reader:
        frame = reader.page.frame_locator("iframe")
        frame.locator("[data-do=forward]").click()
        assert frame.locator("#where").text_content() == "step 2 of 9: t = 1"
        assert reader.errors == []
