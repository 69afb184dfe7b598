"""Layers for Keras 3, on TensorFlow, JAX or PyTorch: Keras's conventions around the same kernels.

    from feedbackward.keras import GRU, BandRNN

A layer computes what depends on x alone with Keras's operations and hands the recurrence to the kernels of the backend
that `keras.backend.backend` names; no other framework is imported. Importing this module makes the layers known to
`keras.saving.load_model`.
"""

from __future__ import annotations

from . import installed as installed  # before anything that needs it
from .backend import run as run  # loads the operators of the backend
from .filter_bank import FilterBank
from .sos_filter import SOSFilter

__all__ = ["FilterBank", "SOSFilter"]
