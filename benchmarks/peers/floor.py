"""Work that any implementation has to do: write the output, and for a gradient, read it."""

from __future__ import annotations

import numpy as np
import torch

from ..case import Call, Inputs


def _empty_output(inputs: Inputs) -> torch.Tensor:
    return torch.from_numpy(np.zeros_like(inputs["g"]))


def fill(inputs: Inputs) -> Call:
    """Fill an existing output."""
    y = _empty_output(inputs)
    return lambda: (y.fill_(1.0),)


def fill_and_sum(inputs: Inputs) -> Call:
    """Fill an existing output, then sum an existing gradient of it."""
    y, g = _empty_output(inputs), torch.from_numpy(inputs["g"])
    return lambda: (y.fill_(1.0), g.sum())
