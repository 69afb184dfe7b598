"""Weights from one framework's layers into another's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from . import named
from .cells import cells_of, read, write
from .portable import Portable


def copy_weights(source: Any, target: Any) -> None:
    """Copy the weights of layers into layers of another framework, or of Keras, that compute the same.

        Keras    keras.layers.SimpleRNN, GRU, LSTM or RNN over their cells, RNN, GRU, LSTM, BandRNN of feedbackward, the
                 cells themselves, Bidirectional around one, a list of these for layers on top of each other;
                 FilterBank and SOSFilter
        torch    torch.nn.RNN, GRU, LSTM, their namesakes and BandRNN in feedbackward.nn, cells, FilterBank, SOSFilter;
                 or a mapping from names to arrays, such as their ``state_dict()``, where torch is not installed

    Gates are put in order and matrices transposed. Two biases of torch.nn become their sum in Keras; one of Keras
    becomes the first of two, and the second is 0. A GRU of torch.nn is one with ``reset_after=True``. A layer of Keras
    that has no weights yet gets them.

    Args:
        source: Where the weights are.
        target: Where they go. Arrays of a mapping are written in place; one that is empty is filled.

    Raises:
        TypeError: Neither of the two is Keras's, or one is something else.
        ValueError: The layers do not fit: their number, directions, kinds, structures, shapes or biases.

    Example:
        >>> import keras, feedbackward.keras as fbk
        >>> layer, theirs, weights = fbk.GRU(8), keras.layers.GRU(8), {}
        >>> x = keras.random.normal((4, 10, 3))
        >>> y = theirs(x)
        >>> fbk.copy_weights(theirs, layer)
        >>> bool(keras.ops.all(keras.ops.isclose(layer(x), y, atol=1e-5)))
        True
        >>> fbk.copy_weights(layer, weights)  # for load_state_dict of torch.nn.GRU(3, 8)
        >>> {name: w.shape for name, w in weights.items()}
        {'weight_ih_l0': (24, 3), 'weight_hh_l0': (24, 8), 'bias_ih_l0': (24,), 'bias_hh_l0': (24,)}
    """
    if not (_is_keras(source) or _is_keras(target)):
        raise TypeError(
            f"copy_weights: source is a {type(source).__name__} and target a {type(target).__name__}, expected layers "
            "of Keras for one of them; between modules of torch there is load_state_dict"
        )
    for side in (source, target):
        if _is_keras(side) and not cells_of(side):
            by_name(source, target)
            return
    parts = _portable(source)
    if _is_keras(target):
        write(target, parts)
    else:
        named.write(target, parts)


def _portable(side: Any) -> list[list[Portable]]:
    return read(side) if _is_keras(side) else named.read(side)


def _is_keras(side: Any) -> bool:
    parts = side if isinstance(side, (list, tuple)) else [side]
    return bool(parts) and all(isinstance(part, keras.layers.Layer) for part in parts)


def by_name(source: Any, target: Any) -> None:
    """Copy weights that have the same names and shapes on both sides; the state of a stream is not one of them.

    Raises:
        ValueError: They have not.
    """
    given, wanted = _arrays(source), _arrays(target)
    if isinstance(target, Mapping) and not wanted:
        target.update({name: named.array(value) for name, value in given.items()})  # type: ignore[attr-defined]
        return
    shapes = [{name: tuple(value.shape) for name, value in side.items()} for side in (given, wanted)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"copy_weights: source has the weights {shapes[0]}, target {shapes[1]}, expected the same")
    for name, value in wanted.items():
        named.assign(value, named.array(given[name]))


def _arrays(side: Any) -> dict[str, Any]:
    if not isinstance(side, keras.layers.Layer):
        return named.tensors(side)
    if not side.built:
        raise ValueError(f"copy_weights: {side.name} has no weights yet, expected a layer that was built")
    return {weight.name: weight for weight in side.weights if weight.name != "state"}
