"""Recordings in and out: everything that can be wrong with a file is said here, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import Refused

SILENCE = 1e-9  # -180 dB re full scale: below the last bit of any recording


@dataclass(frozen=True)
class Recording:
    """An audio file: what its header says."""

    path: Path
    sample_rate: int
    channels: int
    samples: int
    format: str
    subtype: str

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.samples / self.sample_rate

    def describe(self) -> str:
        """A few words for a table."""
        channels = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        return f"{self.sample_rate} Hz, {channels}, {self.seconds:.2f} s, {self.format} {self.subtype}"


def inspect(path: Path) -> Recording:
    """Read the header of a file.

    Raises:
        Refused: it is missing, a folder, not audio, or empty.
    """
    import soundfile

    if not path.exists():
        raise Refused(f"{path} does not exist.")
    if path.is_dir():
        raise Refused(f"{path} is a folder, expected an audio file.")
    try:
        path.open("rb").close()  # says why it cannot be opened; libsndfile would only say "System error"
        with soundfile.SoundFile(path) as file:
            recording = Recording(path, file.samplerate, file.channels, file.frames, file.format, file.subtype)
    except (soundfile.SoundFileError, OSError) as error:
        raise Refused(f"{path} cannot be read as audio: {_reason(error)}.") from error
    if recording.samples < 1:
        raise Refused(f"{path} holds no samples.")
    return recording


def read(recording: Recording) -> NDArray[np.float64]:
    """All samples, (channels, T), full scale being 1.

    Raises:
        Refused: the file is damaged, holds NaN or infinity, or is silent.
    """
    parts = list(blocks(recording, 1 << 20))
    samples: NDArray[np.float64] = np.ascontiguousarray(np.concatenate(parts, axis=-1), dtype=np.float64)
    if np.abs(samples).max() < SILENCE:
        raise Refused(f"{recording.path} is silent: there is nothing to learn from it.")
    return samples


def blocks(recording: Recording, size: int, dtype: str = "float64") -> Iterator[NDArray[Any]]:
    """The recording in blocks (channels, size), the last one shorter.

    Raises:
        Refused: the file is damaged, shorter than its header says, or holds NaN or infinity.
    """
    import soundfile

    position = 0
    try:
        with soundfile.SoundFile(recording.path) as file:
            for block in file.blocks(size, dtype=dtype, always_2d=True):
                if not np.isfinite(block).all():
                    at = position + int(np.argmin(np.isfinite(block).all(axis=1)))
                    raise Refused(
                        f"{recording.path} holds NaN or infinity at sample {at} ({at / recording.sample_rate:.3f} s)."
                    )
                position += len(block)
                yield np.ascontiguousarray(block.T)
    except (soundfile.SoundFileError, OSError) as error:
        raise Refused(f"{recording.path} cannot be read beyond sample {position}: {_reason(error)}.") from error
    if position != recording.samples:
        raise Refused(f"{recording.path} is cut off: {position} samples of the {recording.samples} in its header.")


def check_pair(dry: Recording, wet: Recording) -> None:
    """Raise Refused unless the two recordings can be one sound before and after a filter."""
    if dry.sample_rate != wet.sample_rate:
        raise Refused(
            f"{dry.path} has {dry.sample_rate} samples per second and {wet.path} {wet.sample_rate}: "
            "both need the same rate."
        )
    if dry.channels != wet.channels:
        raise Refused(
            f"{dry.path} has {dry.channels} channel(s) and {wet.path} {wet.channels}: both need the same number."
        )
    if dry.samples != wet.samples:
        raise Refused(
            f"{dry.path} has {dry.samples} samples and {wet.path} {wet.samples}: "
            "both need the same length, sample by sample."
        )


def check_writable(recording: Recording) -> None:
    """Raise Refused unless a file like this one can be written."""
    import soundfile

    if not soundfile.check_format(recording.format, recording.subtype):
        raise Refused(
            f"{recording.path} is {recording.format} {recording.subtype}, which can be read but not written: "
            "convert it to WAV or FLAC first."
        )


def write(path: Path, samples: NDArray[np.float64], like: Recording) -> int:
    """Write samples (channels, T) in the format of another recording.

    Returns:
        How many samples were beyond full scale and clipped, which only integer formats do.
    """
    import soundfile

    soundfile.write(path, samples.T, like.sample_rate, subtype=like.subtype, format=like.format)
    if like.subtype in ("FLOAT", "DOUBLE"):
        return 0
    return int((np.abs(samples) > 1).sum())


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return str(text).strip().rstrip(".")
