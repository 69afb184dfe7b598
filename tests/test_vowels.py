"""A real task is learned: who says two vowels, by every kind of model in examples/vowels.py."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))

from vowels import CHANNELS, DATA, MODELS, SPEAKERS, accuracy, load, train  # isort: skip

EPOCHS = 20


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The batches are too small to be worth sharing."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_data_is_the_authors() -> None:
    notes = (DATA.parent / "README.md").read_text()
    assert DATA.name in notes
    assert DATA.with_suffix(".COPYING").is_file()
    known, asked = load()
    assert known.frames.shape == (26, 270, CHANNELS)
    assert asked.frames.shape == (29, 370, CHANNELS)
    assert known.speakers.bincount().tolist() == [30] * SPEAKERS
    assert asked.speakers.bincount().tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    assert known.lengths.min() == asked.lengths.min() == 7


@pytest.mark.parametrize("name", MODELS)
def test_speakers_are_told_apart(name: str) -> None:
    """On utterances from other occasions, of which the commonest speaker has 24 %."""
    torch.manual_seed(0)
    known, asked = load()
    model = MODELS[name]()
    train(model, known, EPOCHS)
    assert accuracy(model, asked) > 0.93


@pytest.mark.parametrize("name", MODELS)
def test_padding_counts_for_nothing(name: str) -> None:
    _, asked = load()
    some = asked.pick(torch.arange(40))
    inside = torch.arange(len(some.frames))[:, None, None] < some.lengths[:, None]
    model = MODELS[name]().double()
    frames = some.frames.double()
    loud = torch.where(inside, frames, 1e3)
    torch.testing.assert_close(model(loud, some.lengths), model(frames, some.lengths))
