"""The operators of the backend that Keras runs on: programs over tensors, each as its framework has them.

The backend is that of the process, so it is chosen when this module is imported, and no other framework is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from ..engine.ir import Program

NAME: str = keras.backend.backend()

register = keras.saving.register_keras_serializable(package="feedbackward")


def run(name: str, step: Program, tensors: Sequence[Any], reverse: bool = False) -> tuple[list[Any], list[Any]]:
    """Run a program over a batch.

    Args:
        name: Of the layer, for messages.
        step: The program.
        tensors: Those that it names, in its order, all of one dtype: held (B or 1, rows); matrices; sequences
            (B, T, rows); states (B, rows).
        reverse: Whether the last step is the first.

    Returns:
        Its outputs (B, T, rows), and the states after the last step (B, rows).

    Raises:
        NotImplementedError: A tensor is not where the kernels are, or XLA of TensorFlow is to compile the call.
    """
    return _run(name, step, tensors, reverse)


# where: that of Keras rounds float64 to float32 outside of TensorFlow.
if NAME == "tensorflow":
    from tensorflow import where as where

    from ..tensorflow.arguments import check_device, refuse_xla
    from ..tensorflow.ops import scan as _tensorflow

    def _run(name: str, step: Program, tensors: Sequence[Any], reverse: bool) -> tuple[list[Any], list[Any]]:
        refuse_xla(name)
        for tensor in tensors:
            if hasattr(tensor, "numpy"):
                check_device(name, "a tensor", tensor.device)
        return _tensorflow.run(step, tensors, reverse, lanes_first=True)

elif NAME == "jax":
    from jax.numpy import where as where

    from ..jax import scan as _jax

    def _run(name: str, step: Program, tensors: Sequence[Any], reverse: bool) -> tuple[list[Any], list[Any]]:
        lanes, steps, _ = tensors[len(step.held) + len(step.matrices)].shape
        results = _jax.run(step, tensors, (lanes,), steps, reverse, lanes_first=True)
        return results[: len(step.outputs)], results[len(step.outputs) :]

elif NAME == "torch":
    from torch import where as where

    from ..engine import operator as _torch
    from ..engine.scan import DEVICES

    def _run(name: str, step: Program, tensors: Sequence[Any], reverse: bool) -> tuple[list[Any], list[Any]]:
        sequence = tensors[len(step.held) + len(step.matrices)]
        lanes, steps, _ = sequence.shape
        devices = {tensor.device.type for tensor in tensors}
        if "meta" in devices:  # Keras asks for shapes alone
            outputs = [sequence.new_empty((lanes, steps, v.rows), device="meta") for v in step.outputs]
            return outputs, [sequence.new_empty((lanes, rows), device="meta") for rows in step.states]
        if elsewhere := devices - set(DEVICES):
            raise NotImplementedError(
                f"{name}: a tensor is on {min(elsewhere)}, but this version computes on CPU and CUDA; keep the model "
                "there with `with keras.device('cpu')`"
            )
        of_time = range(len(step.held) + len(step.matrices), len(tensors) - len(step.states))
        given = [x.transpose(0, 1) if i in of_time else x for i, x in enumerate(tensors)]
        outputs, after = _torch.run(given, step.text, _torch.wanted(tensors), (lanes,), steps, reverse, 0)
        return [y.transpose(0, 1) for y in outputs], after

else:
    raise ImportError(
        f"feedbackward.keras: Keras's backend is {NAME!r}, expected tensorflow, jax or torch: set KERAS_BACKEND before "
        "Keras is imported"
    )
