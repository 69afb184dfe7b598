"""How time is cut where there are too few lanes to fill a GPU, and how the pieces are linked.

The state at the end of a segment is linear in the state at its start, s' = F s + e. One pass finds e, and F from unit
states, for all segments at once; `link` finds the state at every seam; a second pass computes the outputs from the true
states. The price is that inputs are read twice, and the work of one more pass.

F amplifies rounding errors where the recurrence is unstable. Such a lane is not `tame`, and its first thread walks
through all of its time alone, which is slow and right. That is decided on the device, lane by lane.

How time is cut depends on the number of lanes and samples alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .kernels import link as kernels
from .launch import BLOCK, blocks, launch

THREADS = 1 << 17  # about what an H100 holds at 1024 threads per multiprocessor
ENOUGH = 1 << 15  # with so many lanes, time is not cut
SHORTEST = 64  # samples: a shorter segment would leave the links more to do than the walks
MULTIPLE = 16  # every segment but the last is a multiple of this: of a run, and of 16 bytes
GROUP = 32  # segments that one thread links
LIMIT = 100.0  # two digits: the largest entry of a tame F


@dataclass(frozen=True)
class Cut:
    """Time as ``count`` segments of ``rounds`` times ``length`` samples each, of which the last may be shorter."""

    count: int
    rounds: int
    length: int


def cut_held(lanes: int, steps: int, memory: int = 0) -> Cut:
    """Constant coefficients: segments of any length, but at least ``memory``."""
    wanted = 1 if lanes >= ENOUGH else THREADS // max(lanes, 1)
    length = max(-(-steps // max(wanted, 1)), SHORTEST, memory)
    length = min(-(-length // MULTIPLE) * MULTIPLE, max(steps, 1))
    return Cut(max(-(-steps // length), 1), 1, length)


def cut_frames(lanes: int, steps: int, hop: int, whole: bool) -> Cut:
    """Coefficients that change every ``hop`` samples: segments are frames, or several of them; ``whole``: all."""
    frames = max(-(-steps // hop), 1)
    rounds = frames if whole else min(-(-cut_held(lanes, steps).length // hop), frames)
    return Cut(-(-frames // rounds), rounds, hop)


def link(ends: Tensor, factors: Tensor, *, back: bool = False) -> tuple[Tensor, Tensor]:
    """The state at the start of every segment, or with ``back`` its adjoint at the end, and which lanes are tame.

    Args:
        ends: (N, segments, lanes), where the true state before all, or after all, is in the first, or last, segment's.
        factors: (N N, segments, lanes), or (N N, 1, lanes) where all segments that are linked have the same.
        back: Whether time runs in reverse.

    Returns:
        The states, (N, segments, lanes), and (lanes,) int8: 1 where all entries of every F are moderate.
    """
    order, segments, lanes = ends.shape
    held = factors.shape[1] == 1
    starts = torch.empty_like(ends)
    group = GROUP if segments > 2 * GROUP else segments
    groups = -(-segments // group)
    grid = (blocks(groups * lanes),)
    pitch, apart = factors.shape[1] * lanes, 0 if held else lanes
    counts = (lanes, segments, groups, group, pitch, apart)
    carry, tame = ends, ends.new_empty(0 if groups > 1 else lanes, dtype=torch.int8)
    if groups > 1:
        group_ends = ends.new_empty(order, groups, lanes)
        group_factors = factors.new_empty(order * order, 1 if held else groups, lanes)
        launch(
            kernels.compose, (*grid, order + 1), ends, factors, group_ends, group_factors, *counts,
            like=ends, N=order, BACK=back, HELD=held, LIMIT=LIMIT, BLOCK=BLOCK,
        )  # fmt: skip
        carry, tame = link(group_ends, group_factors)
    launch(
        kernels.chain, grid, ends, factors, carry, starts, tame, *counts,
        like=ends, N=order, BACK=back, CARRY=groups > 1, LIMIT=LIMIT, BLOCK=BLOCK,
    )  # fmt: skip
    return starts, tame
