"""Who says "ae"? A real task learned end to end, by recurrent layers and by learnable filters.

Nine speakers said two vowels 640 times; an utterance is 7 to 29 frames of 12 cepstrum coefficients, one every 6.4 ms.
A model learns from 270 utterances and is asked about 370 others, which were recorded on other occasions:

    frames (T, B, 12), lengths (B,)  ->  one score per speaker (B, 9)

Three models are small enough to train in seconds on two cores:

- a GRU, whose last state is read;
- a recurrent layer whose matrix is a band, with its mean over the utterance;
- a bank of filters with learnable centers and bandwidths over the course of every coefficient: how strong each
  output is, and the mean.

Run it with ``python examples/vowels.py``. Where the data comes from is in ``examples/data/README.md``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

import feedbackward as fb

DATA = Path(__file__).resolve().parent / "data" / "japanese_vowels.npz"
CHANNELS, SPEAKERS = 12, 9
FRAME_RATE = 1e3 / 6.4  # of the frames, in Hz


class Utterances(NamedTuple):
    """A padded batch.

    Attributes:
        frames: (T, B, 12), 0 beyond an utterance's end.
        lengths: (B,).
        speakers: (B,), from 0.
    """

    frames: Tensor
    lengths: Tensor
    speakers: Tensor

    def pick(self, which: Tensor) -> Utterances:
        """Some of them."""
        return Utterances(self.frames[:, which], self.lengths[which], self.speakers[which])


def load() -> tuple[Utterances, Utterances]:
    """The utterances to learn from, and those to be asked about; coefficients scaled by the former's spread."""
    with np.load(DATA) as stored:
        arrays = {name: torch.as_tensor(stored[name]) for name in stored.files}
    mean, spread = arrays["frames_train"].mean(0), arrays["frames_train"].std(0)
    parts = []
    for part in ("train", "test"):
        lengths = arrays[f"lengths_{part}"].long()
        frames = ((arrays[f"frames_{part}"] - mean) / spread).split(lengths.tolist())
        parts.append(Utterances(pad_sequence(list(frames)), lengths, arrays[f"speakers_{part}"].long() - 1))
    return parts[0], parts[1]


def mean_over(y: Tensor, lengths: Tensor) -> Tensor:
    """The mean (B, n) over each sequence of y (T, B, n), whose padding counts for nothing."""
    inside = torch.arange(len(y), device=lengths.device)[:, None] < lengths
    return (y * inside[..., None]).sum(0) / lengths[:, None]


class LastState(nn.Module):
    """A GRU whose last state is read."""

    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        self.layer = fb.nn.GRU(CHANNELS, hidden)
        self.head = nn.Linear(hidden, SPEAKERS)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Scores."""
        return self.head(self.layer(frames, lengths=lengths)[1][0])


class Neighbors(nn.Module):
    """A recurrent layer whose channels hear their neighbors, and its mean over the utterance."""

    def __init__(self, hidden: int = 128, band_width: int = 4) -> None:
        super().__init__()
        self.layer = fb.nn.BandRNN(CHANNELS, hidden, band_width)
        self.head = nn.Linear(hidden, SPEAKERS)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Scores."""
        return self.head(mean_over(self.layer(frames, lengths=lengths)[0], lengths))


class Filters(nn.Module):
    """A bank over the course of every coefficient: the log of each output's power, beside the coefficient's mean."""

    def __init__(self, filters: int = 4) -> None:
        super().__init__()
        self.bank = fb.nn.FilterBank(filters, FRAME_RATE, "bandpass", low=0.0, scale="linear")
        self.head = nn.Linear(CHANNELS * (filters + 1), SPEAKERS)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Scores."""
        y = self.bank(frames.permute(1, 2, 0)).flatten(1, 2).permute(2, 0, 1)  # (T, B, 12 * filters)
        power = mean_over(y.square(), lengths)
        return self.head(torch.cat([mean_over(frames, lengths), (power + 1e-3).log()], 1))


MODELS: dict[str, Callable[[], nn.Module]] = {"GRU": LastState, "BandRNN": Neighbors, "FilterBank": Filters}


def train(model: nn.Module, utterances: Utterances, epochs: int, rate: float = 1e-2, batch: int = 30) -> None:
    """Adam with a rate that falls to 0 along a cosine."""
    steps = epochs * -(-len(utterances.lengths) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(epochs):
        for which in torch.randperm(len(utterances.lengths)).split(batch):
            some = utterances.pick(which)
            optimizer.zero_grad()
            cross_entropy(model(some.frames, some.lengths), some.speakers).backward()
            optimizer.step()
            schedule.step()


def accuracy(model: nn.Module, utterances: Utterances) -> float:
    """The share of utterances whose speaker gets the highest score."""
    with torch.no_grad():
        guesses = model(utterances.frames, utterances.lengths).argmax(1)
    return (guesses == utterances.speakers).double().mean().item()


def main() -> None:
    torch.set_num_threads(1)  # the batches are too small to be worth sharing
    known, asked = load()
    print(f"{len(known.lengths)} utterances to learn from, {len(asked.lengths)} to be asked about, {SPEAKERS} speakers")
    print(f"{'model':12}{'parameters':>12}{'learned from':>16}{'asked about':>14}{'training':>12}")
    for name, make in MODELS.items():
        torch.manual_seed(0)
        model = make()
        begin = time.perf_counter()
        train(model, known, epochs=40)
        seconds = time.perf_counter() - begin
        count = sum(parameter.numel() for parameter in model.parameters())
        shares = [f"{100 * accuracy(model, part):.1f} %" for part in (known, asked)]
        print(f"{name:12}{count:12,}{shares[0]:>16}{shares[1]:>14}{seconds:10.1f} s")


if __name__ == "__main__":
    main()
