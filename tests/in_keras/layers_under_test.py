"""The layers, each with a structure, and how their numbers are looked at on every backend."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import feedbackward as fb
import feedbackward.keras as fbk

STRUCTURES = {
    "dense": fb.Dense(),
    "banded": fb.Banded(2, 1),
    "block": fb.BlockDiagonal(3),
    "diagonal": fb.Diagonal(),
    "low_rank": fb.LowRankPlusDiagonal(2),
}
UNITS = 6


def of_each(**more: Any) -> dict[str, tuple[type, dict[str, Any]]]:
    """Every layer with every structure: a class, and arguments for it."""
    found: dict[str, tuple[type, dict[str, Any]]] = {"BandRNN": (fbk.BandRNN, {"band_width": (2, 1), **more})}
    for kind in (fbk.RNN, fbk.GRU, fbk.LSTM):
        for name, structure in STRUCTURES.items():
            found[f"{kind.__name__}-{name}"] = (kind, {"structure": structure, **more})
    for name in ("dense", "banded"):
        found[f"GRU-{name}-before"] = (fbk.GRU, {"structure": STRUCTURES[name], "reset_after": False, **more})
    return found


EVERY = of_each()
FEW = {name: EVERY[name] for name in ("BandRNN", "RNN-block", "GRU-dense", "GRU-banded-before", "LSTM-low_rank")}
SOME = FEW if keras.backend.backend() == "jax" else EVERY  # JAX compiles every one of them


def make(entry: tuple[type, dict[str, Any]], **more: Any) -> Any:
    """The layer, with biases that are not 0."""
    kind, settings = entry
    return kind(UNITS, bias_initializer=keras.initializers.RandomNormal(stddev=0.3, seed=5), **settings, **more)


def numbers(y: Any) -> Any:
    """Arrays for tensors, in lists."""
    if isinstance(y, (list, tuple)):
        return [numbers(part) for part in y]
    return keras.ops.convert_to_numpy(y)


def assert_same(ours: Any, theirs: Any, steps: int = 10) -> None:
    """Equal to rounding, which a step adds to."""
    if isinstance(ours, list):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_same(a, b, steps)
        return
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    scale = max(1.0, float(np.abs(theirs).max(initial=0)))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=scale * max(steps, 4) * 4 * np.finfo(theirs.dtype).eps)
