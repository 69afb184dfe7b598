"""The layer of `band` in Keras on TensorFlow, beside our own from torch: x is (B, T, input) there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from ..case import OURS, Build, Call, Case, Inputs, Target
from ..peers import peer
from ..peers.elsewhere import elsewhere
from . import band


def _turned(inputs: Inputs) -> Inputs:
    """With batch and time exchanged in what has both."""
    return {**inputs, **{name: np.ascontiguousarray(inputs[name].swapaxes(0, 1)) for name in ("x", "g")}}


def _maker(make: Callable[[bool], Inputs]) -> Callable[[bool], Inputs]:
    return lambda small: _turned(make(small))


def _expected(function: Callable[[Inputs], list[np.ndarray]]) -> Callable[[Inputs], list[np.ndarray]]:
    def run(inputs: Inputs) -> list[np.ndarray]:
        return [found.swapaxes(0, 1) if found.ndim == 3 else found for found in function(_turned(inputs))]

    return run


def _batch_first(build: Build) -> Build:
    """A peer whose layer has time first, called as ours is: both copies are made by it."""

    def made(inputs: Inputs) -> Call:
        call = build(_turned(inputs))
        return lambda: [y.swapaxes(0, 1) if y.ndim == 3 else y for y in call()]

    return made


def _case(function: str) -> Case:
    case = next(one for one in band.cases if one.name == f"band_{function}")
    cell, masked = "keras.layers.RNN, the same cell", "SimpleRNN, masked"
    return dataclasses.replace(
        case,
        name=f"band_keras_{function}",
        title=case.title.replace("nn.BandRNN", "keras.BandRNN on TensorFlow"),
        make=_maker(case.make),
        expected=_expected(case.expected),
        peers={
            OURS: elsewhere("tensorflow", "keras_band", f"ours_{function}"),
            "feedbackward from torch": _batch_first(peer("ours_layers", case.name)),
            cell: elsewhere("tensorflow", "keras_band", f"cell_{function}"),
            masked: elsewhere("tensorflow", "keras_band", f"masked_{function}"),
        },
        targets=(Target("speedup", 10.0, cell), Target("speedup", 10.0, masked)),
        memory=False,
    )


cases = (_case("forward"), _case("gradient"))
