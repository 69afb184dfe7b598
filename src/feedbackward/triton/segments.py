"""How time is cut where there are too few lanes to fill a GPU, and how the pieces are linked.

The state at the end of a segment is linear in the state at its start, s' = F s + e. One pass finds e, and F from unit
states, for all segments at once; `link` finds the state at every seam; a second pass computes the outputs from the true
states. The price is that inputs are read twice, and the work of one more pass.

F amplifies rounding errors where the recurrence is unstable. Such a lane is not `tame`, and its first thread walks
through all of its time alone, which is slow and right. That is decided on the device, lane by lane.

How time is cut depends on how many lanes, samples and states there are, and on nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .kernels import link as kernels
from .kernels import link_wide as wide_kernels
from .launch import BLOCK, blocks, launch

THREADS = 1 << 17  # about what an H100 holds at 1024 threads per multiprocessor
ENOUGH = 1 << 15  # with so many lanes, time is not cut
SHORTEST = 64  # samples: a shorter segment would leave the links more to do than the walks
MULTIPLE = 16  # every segment but the last is a multiple of this: of a run, and of 16 bytes
GROUP = 32  # segments that a thread, or a program, links one after the other
NARROW = 8  # states: with so many, a thread has F in its registers; with more, a program has
WIDEST = 64  # states: with more, the threads of a program could not hold F either, and time is not cut
LIMIT = 100.0  # two digits: the largest entry of a tame F


@dataclass(frozen=True)
class Cut:
    """Time as ``count`` segments of ``rounds`` times ``length`` samples each, of which the last may be shorter."""

    count: int
    rounds: int
    length: int


def cut_held(lanes: int, steps: int, least: int = 0) -> Cut:
    """Constant coefficients: segments of any length, but at least ``least``."""
    wanted = 1 if lanes >= ENOUGH else THREADS // max(lanes, 1)
    length = max(-(-steps // max(wanted, 1)), SHORTEST, least)
    length = min(-(-length // MULTIPLE) * MULTIPLE, max(steps, 1))
    return Cut(max(-(-steps // length), 1), 1, length)


def cut_frames(lanes: int, steps: int, hop: int, states: int) -> Cut:
    """Coefficients that change every ``hop`` samples: segments are frames, or several of them.

    Every segment has an F of its own, of ``states``^2 entries. It is not cut shorter than these are many, so that all F
    take no more memory than a signal. Finding them takes as many passes as there are states, two more do the rest:
    that pays as long as all passes together leave threads of the GPU idle.
    """
    frames = max(-(-steps // hop), 1)
    if not pays_to_cut(lanes, states):
        return Cut(1, frames, hop)
    rounds = min(-(-cut_held(lanes, steps, states * states).length // hop), frames)
    return Cut(-(-frames // rounds), rounds, hop)


def pays_to_cut(lanes: int, states: int) -> bool:
    """Whether time is cut where every segment has an F of its own."""
    return states <= WIDEST and lanes * (states + 2) < ENOUGH


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
    pitch, apart = factors.shape[1] * lanes, 0 if held else lanes
    counts = (lanes, segments, groups, group, pitch, apart)
    compose, chain, programs, settings = _kernels(order, groups * lanes)
    carry, tame = ends, ends.new_empty(0 if groups > 1 else lanes, dtype=torch.int8)
    if groups > 1:
        group_ends = ends.new_empty(order, groups, lanes)
        group_factors = factors.new_empty(order * order, 1 if held else groups, lanes)
        launch(
            compose, (programs, order + 1), ends, factors, group_ends, group_factors, *counts,
            like=ends, BACK=back, HELD=held, **settings,
        )  # fmt: skip
        carry, tame = link(group_ends, group_factors)
    launch(
        chain, (programs,), ends, factors, carry, starts, tame, *counts,
        like=ends, BACK=back, CARRY=groups > 1, HELD=held, **settings,
    )  # fmt: skip
    return starts, tame


def _kernels(order: int, count: int) -> tuple[Any, Any, int, dict[str, Any]]:
    """`compose` and `chain` for so many states, how many programs take ``count`` groups, and what both are given."""
    settings = {"N": order, "LIMIT": LIMIT}
    if order <= NARROW:
        return kernels.compose, kernels.chain, blocks(count), settings | {"BLOCK": BLOCK}
    size = 1 << (order - 1).bit_length()
    # One warp needs no barrier to exchange a state; more are there for their registers.
    settings |= {"M": size, "block": BLOCK if size > 32 else 32}
    return wide_kernels.compose_wide, wide_kernels.chain_wide, count, settings
