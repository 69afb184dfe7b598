"""``feedbackward bank``: a recording through a bank of band-pass filters, as a picture and as numbers.

The recording goes through in blocks; the filters' state and the smoothed energies are carried from one to the next, so
that the result does not depend on the size of a block and memory does not grow with the length. With y the output of a
filter, frame n the samples n h .. n h + h - 1, and c the smoothing of a filter of bandwidth B,

    power[n] = mean of y^2 over frame n
    energy[n] = c energy[n-1] + (1 - c) power[n],    c = exp(-pi B h / sample_rate), and 0 where that is below 0.05

a band of bandwidth B cannot change faster than that, and what the smoothing removes is the beat of y^2 itself. Levels
are 10 log10(energy), 0 dB being the energy of a square wave at full scale.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

import feedbackward as fb

from . import audio, pictures
from .console import progress
from .device import on_cpu
from .errors import Refused
from .folder import staged

if TYPE_CHECKING:
    from rich.console import Console

_FLOOR = 1e-20  # -200 dB, what silence is shown as
_VALUES = 1 << 22  # filter outputs held at a time, 16 MB
_COLUMNS = 1600  # of the picture


@on_cpu()
def bank(
    path: Path,
    out: Path,
    *,
    filters: int,
    scale: str,
    low: float,
    high: float | None,
    hop_ms: float,
    console: Console,
    block: int | None = None,
) -> None:
    """Analyze a recording and write ``bank.png`` and ``bank.npz`` into a folder.

    Args:
        path: the recording; each of its channels is analyzed, the picture shows their mean energy.
        out: folder for the results.
        filters: number of bands.
        scale: on which the bands are evenly wide.
        low: lower edge of the lowest band in Hz.
        high: upper edge of the highest band in Hz, Nyquist by default.
        hop_ms: length of a frame.
        console: for the progress bar and the summary.
        block: samples per block, about; chosen for bounded memory by default.

    Raises:
        Refused: an input that cannot be used, or an output folder that cannot be written.
    """
    recording = audio.inspect(path)
    nyquist = recording.sample_rate / 2
    top = nyquist if high is None else high
    if not low < top <= nyquist:
        raise Refused(
            f"--low and --high are {low:g} and {top:g} Hz, expected low < high <= {nyquist:g} Hz, "
            f"half the rate of {path}."
        )
    if scale == "octave" and low <= 0:
        raise Refused("--low is 0 Hz, expected a positive frequency on the octave scale.")
    hop = max(1, round(hop_ms * 1e-3 * recording.sample_rate))
    module = fb.nn.FilterBank(
        filters, recording.sample_rate, low=low, high=top, scale=scale, compute_dtype=torch.float64
    )
    if block is None:
        block = _VALUES // (filters * recording.channels)
    names = ["bank.npz", "bank.png"]
    with staged(out, names, [recording.path]) as stage:
        frames = -(-recording.samples // hop)
        levels = np.lib.format.open_memmap(  # on disk: its size grows with the length
            stage / "levels.npy", mode="w+", dtype=np.float32, shape=(recording.channels, filters, frames)
        )
        overview = _Overview(filters, frames)
        with progress(console) as bar, torch.inference_mode():
            task = bar.add_task(f"filtering through {filters} bands", total=recording.samples, detail="")
            stream = _Stream(module, hop)
            begin = 0
            for samples in audio.blocks(recording, max(1, block // hop) * hop, dtype="float32"):
                energy = stream(torch.from_numpy(samples)).numpy()
                levels[..., begin : begin + energy.shape[-1]] = 10 * np.log10(np.maximum(energy, _FLOOR))
                overview.add(begin, energy.mean(0))
                begin += energy.shape[-1]
                bar.update(task, advance=samples.shape[-1], detail=f"{recording.seconds:.1f} s of sound")
        if not stream.heard:
            raise Refused(f"{path} is silent: there is nothing to see in it.")
        np.savez(stage / "bank.npz", **_data(module, recording, hop, levels))
        del levels
        (stage / "levels.npy").unlink()
        edges = fb.design.edges(low, top, filters, scale).double().numpy()
        title = f"{path.name} through {filters} band-pass filters, even on the {scale} scale"
        figure = pictures.bank_figure(overview.level_db(), recording.seconds, edges, title)
        pictures.save_png(figure, stage / "bank.png")
    mixed = "" if recording.channels == 1 else f"; the picture shows the mean of {recording.channels} channels"
    summary = f"{filters} bands, {frames} frames of {1e3 * hop / recording.sample_rate:g} ms{mixed}"
    console.print(f"{recording.describe()}: {summary}", highlight=False, soft_wrap=True, markup=False)
    console.print(f"results in {out}: {', '.join(names)}", highlight=False, soft_wrap=True, markup=False)


class _Stream:
    """Blocks in, energies per frame out; carries the state."""

    def __init__(self, module: fb.nn.FilterBank, hop: int) -> None:
        self.module = module
        self.hop = hop
        decay = torch.exp(-math.pi * module.bandwidth * (hop / module.sample_rate))
        self.decay = torch.where(decay < 0.05, 0.0, decay)  # (filters,)
        self.state: torch.Tensor | None = None
        self.energy: torch.Tensor | None = None
        self.heard = False

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Energy (channels, filters, frames) of a block (channels, T); T is a multiple of the hop but at the end."""
        self.heard = self.heard or bool((x.abs() > audio.SILENCE).any())
        y, self.state = self.module(x, self.state)
        whole = y.shape[-1] // self.hop * self.hop
        power = y[..., :whole].unflatten(-1, (-1, self.hop)).square().mean(-1)
        if whole < y.shape[-1]:
            power = torch.cat([power, y[..., whole:].square().mean(-1, keepdim=True)], dim=-1)
        energy = fb.linear_recurrence(self.decay, (1 - self.decay)[:, None] * power, self.energy)
        self.energy = energy[..., -1]
        return energy


class _Overview:
    """The picture's columns: mean energies over frames, as many as a picture can show."""

    def __init__(self, filters: int, frames: int) -> None:
        self.columns = min(frames, _COLUMNS)
        self.frames = frames
        self.energy = np.zeros((filters, self.columns))
        self.count = np.zeros(self.columns)

    def add(self, begin: int, energy: NDArray[np.floating[Any]]) -> None:
        """Take in the energies (filters, n) of frames begin .. begin + n - 1."""
        column = np.arange(begin, begin + energy.shape[-1]) * self.columns // self.frames
        np.add.at(self.energy.T, column, energy.T)
        np.add.at(self.count, column, 1)

    def level_db(self) -> NDArray[np.float64]:
        """(filters, columns) in dB."""
        return 10 * np.log10(np.maximum(self.energy / self.count, _FLOOR))


def _data(
    module: fb.nn.FilterBank, recording: audio.Recording, hop: int, levels: NDArray[np.float32]
) -> dict[str, Any]:
    begin = np.arange(levels.shape[-1]) * hop
    end = np.minimum(begin + hop, recording.samples)
    return {
        "times": (begin + end) / (2 * recording.sample_rate),
        "frequencies": module.frequency.detach().double().numpy(),
        "bandwidths": module.bandwidth.detach().double().numpy(),
        "levels": levels,
        "coefficients": module.to_sos().detach().double().numpy(),
        "sample_rate": recording.sample_rate,
    }
