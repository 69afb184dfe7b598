"""Keras as it is installed here: present, new enough, with its backend; or one sentence about what to do."""

from __future__ import annotations

import os

OLDEST = (3, 5)

try:
    import keras as _keras
except ModuleNotFoundError as error:
    if error.name == "keras":
        raise ModuleNotFoundError(
            "feedbackward.keras needs Keras 3, which is not installed: `pip install feedbackward[keras]` brings it, "
            "and a backend is installed beside it, TensorFlow, JAX or PyTorch.",
            name="keras",
        ) from error
    _backend, _missing = os.environ.get("KERAS_BACKEND", "tensorflow"), str(error.name).partition(".")[0]
    raise ModuleNotFoundError(
        f"feedbackward.keras: Keras's backend is {_backend!r}, but {_missing} is not installed; install it, or set "
        "KERAS_BACKEND to tensorflow, jax or torch before Keras is imported.",
        name=_missing,
    ) from error

if tuple(int(part) for part in _keras.__version__.split(".")[:2]) < OLDEST:
    raise ImportError(
        f"feedbackward.keras needs Keras {'.'.join(map(str, OLDEST))} or newer, this is {_keras.__version__}: "
        "pip install -U keras"
    )
