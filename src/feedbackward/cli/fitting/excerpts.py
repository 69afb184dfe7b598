"""The part of a long recording that is enough to learn from.

A filter of a few sections has some twenty parameters: seconds of sound determine them, and minutes would only take
longer. A recording that is longer than the budget is cut into equal parts, and the loudest excerpt of each is taken, so
that every part has its say. An excerpt comes with a lead-in, in which the filter forgets that it did not hear
what was before; errors there do not count.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BUDGET_S = 20.0
_EXCERPT_S = 2.0
_LEAD_IN_S = 0.5


def excerpts(
    dry: NDArray[np.float64], wet: NDArray[np.float64], sample_rate: float, budget_s: float = BUDGET_S
) -> tuple[Tensor, Tensor, int]:
    """Excerpts of two recordings (channels, T) at the same places.

    Returns:
        dry and wet, (lanes, T') float64, and the length of the lead-in in samples. A recording within the budget is
        returned whole, its channels as lanes, without a lead-in.
    """
    samples = dry.shape[-1]
    length, lead_in = round(_EXCERPT_S * sample_rate), round(_LEAD_IN_S * sample_rate)
    if samples <= budget_s * sample_rate:
        return torch.from_numpy(dry), torch.from_numpy(wet), 0
    count = int(budget_s / _EXCERPT_S)
    energy = np.concatenate([[0.0], np.cumsum(np.square(wet).sum(0))])
    starts = []
    for part in np.array_split(np.arange(lead_in, samples - length), count):
        starts.append(part[np.argmax(energy[part + length] - energy[part])])
    cut = [slice(start - lead_in, start + length) for start in starts]
    return (
        torch.from_numpy(np.concatenate([dry[:, at] for at in cut])),
        torch.from_numpy(np.concatenate([wet[:, at] for at in cut])),
        lead_in,
    )
