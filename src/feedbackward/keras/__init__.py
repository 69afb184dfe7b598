"""Layers for Keras 3, on TensorFlow, JAX or PyTorch: Keras's conventions around the same kernels.

    from feedbackward.keras import GRU, BandRNN

A layer computes what depends on x alone with Keras's operations and hands the recurrence to the kernels of the backend
that `keras.backend.backend` names; no other framework is imported. Importing this module makes the layers known to
`keras.saving.load_model`.
"""

from __future__ import annotations

from . import installed as installed  # before anything that needs it
from .band import BandRNN, BandRNNCell
from .filter_bank import FilterBank
from .gru import GRU, GRUCell
from .lstm import LSTM, LSTMCell
from .rnn import RNN, RNNCell
from .sos_filter import SOSFilter
from .weights import copy_weights

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "BandRNN",
    "BandRNNCell",
    "FilterBank",
    "GRUCell",
    "LSTMCell",
    "RNNCell",
    "SOSFilter",
    "copy_weights",
]
