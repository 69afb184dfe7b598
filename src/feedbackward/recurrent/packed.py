"""Between a PackedSequence of torch's and a padded tensor with lengths.

A PackedSequence lists, step by step, the elements of all sequences that are still going on, longest sequence first.
Element k is sequence b at step t, with t from ``batch_sizes`` and b its place within the step.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


def lengths_of(packed: PackedSequence) -> Tensor:
    """The lengths (B,), longest first."""
    sizes = packed.batch_sizes
    lanes = int(sizes[0]) if len(sizes) else 0
    return (sizes.unsqueeze(0) > torch.arange(lanes, device=sizes.device).unsqueeze(1)).sum(1)


def pad(packed: PackedSequence) -> Tensor:
    """(T, B, ...), sequences in the order of the packed ones."""
    steps, lanes = len(packed.batch_sizes), int(packed.batch_sizes[0]) if len(packed.batch_sizes) else 0
    flat = packed.data.new_zeros(steps * lanes, *packed.data.shape[1:])
    return flat.index_copy(0, _places(packed).to(flat.device), packed.data).unflatten(0, (steps, lanes))


def pack(padded: Tensor, like: PackedSequence) -> PackedSequence:
    """The elements of a tensor (T, B, ...) that ``like`` has, in its order."""
    data = padded.flatten(0, 1).index_select(0, _places(like).to(padded.device))
    return PackedSequence(data, like.batch_sizes, like.sorted_indices, like.unsorted_indices)


def _places(packed: PackedSequence) -> Tensor:
    """Where every element lies among (T * B,)."""
    sizes = packed.batch_sizes
    start = sizes.cumsum(0) - sizes
    step = torch.arange(len(sizes), device=sizes.device).repeat_interleave(sizes)
    return step * sizes[0] + torch.arange(len(step), device=sizes.device) - start[step]
