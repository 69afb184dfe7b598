"""Sequences of different lengths, padded or packed: each is what it is alone, and nothing reads the padding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from recurrences import (
    CLASSES,
    HIDDEN,
    INPUT,
    KINDS,
    first_state,
    outcome,
    packed_of,
    randn,
    sequence,
    twins,
    widened,
)
from scanning import assert_same, tensors_of
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import feedbackward as fb

LENGTHS = {
    "one": [6],
    "falling": [7, 5, 5, 3, 1],
    "zeros between": [3, 0, 5, 0, 1],
    "equal": [5, 5, 5],
    "all but full": [4, 4, 4],
    "zero": [0, 0, 0],
    "groups": [(7 * k) % 13 for k in range(70)],
}
BOTH_WAYS = {"num_layers": 2, "bidirectional": True}


def members(state: Any, b: int) -> Any:
    return tuple(s[:, b : b + 1] for s in state) if isinstance(state, tuple) else state[:, b : b + 1]


def one_by_one(layer: Any, x: Tensor, state: Any, lengths: list[int], **settings: Any) -> list[Tensor]:
    """Every sequence alone, time first: padded outputs, last states (and all states, padded)."""
    columns = []
    for b, length in enumerate(lengths):
        output, last, *every = layer(x[:length, b : b + 1], members(state, b), **settings)
        padded = torch.cat([output, output.new_zeros(x.shape[0] - length, *output.shape[1:])])
        states = [
            torch.cat([s, s.new_zeros(s.shape[0], x.shape[0] - length, *s.shape[2:])], 1) for s in tensors_of(every)
        ]
        columns.append([padded, *tensors_of(last), *states])
    sides = [1] * (1 + len(tensors_of(state))) + [2] * (len(tensors_of(state)) if settings else 0)
    return [torch.cat(parts, side) for parts, side in zip(zip(*columns, strict=True), sides, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LENGTHS)
def test_each_sequence_is_what_it_is_alone(kind: str, name: str) -> None:
    lengths = LENGTHS[name]
    mine, theirs = twins(kind, **BOTH_WAYS)
    steps = max(lengths) + (name == "all but full") + 2 * (name == "zero")
    x, state = randn(steps, len(lengths), INPUT), first_state(mine, len(lengths))
    found = outcome(lambda x, s: mine(x, s, lengths=lengths), (x, state), list(mine.parameters()))
    alone = theirs if min(lengths) else mine  # torch.nn refuses a sequence of no steps
    truth = outcome(
        lambda x, s: one_by_one(alone, x, s, lengths), (widened(x), widened(state)), list(alone.parameters())
    )
    assert_same(found, truth, torch.float64, 2 * steps * len(lengths) ** 0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_all_states_of_sequences(kind: str) -> None:
    lengths = [3, 0, 5, 0, 1]
    layer = CLASSES[kind](INPUT, HIDDEN, **BOTH_WAYS, dtype=torch.float64)
    x, state = randn(6, 5, INPUT), first_state(layer, 5)
    settings = {"return_all_states": True}
    found = outcome(lambda x, s: layer(x, s, lengths=lengths, **settings), (x, state), list(layer.parameters()))
    truth = outcome(lambda x, s: one_by_one(layer, x, s, lengths, **settings), (x, state), list(layer.parameters()))
    assert_same(found, truth, torch.float64, 12)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_first_state_and_with_the_batch_first(kind: str) -> None:
    lengths = [2, 6, 0, 4, 6]
    layer = CLASSES[kind](INPUT, HIDDEN, batch_first=True, **BOTH_WAYS, dtype=torch.float64)
    zeros = first_state(layer, 5)
    zeros = tuple(s.zero_() for s in zeros) if isinstance(zeros, tuple) else zeros.zero_()
    x = sequence(layer, 6, 5)
    found = outcome(lambda x: layer(x, lengths=torch.tensor(lengths)), (x,), list(layer.parameters()))

    def run(x: Tensor) -> list[Tensor]:
        layer.batch_first = False
        output, *rest = one_by_one(layer, x.transpose(0, 1), zeros, lengths)
        layer.batch_first = True
        return [output.transpose(0, 1), *rest]

    assert_same(found, outcome(run, (x,), list(layer.parameters())), torch.float64, 12)


def test_lengths_in_any_integers_and_of_functions() -> None:
    mine, _ = twins("GRU")
    x, names = randn(6, 3, INPUT), ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    expected = mine(x, lengths=[6, 2, 3])
    for lengths in (
        (6, 2, 3),
        torch.tensor([6, 2, 3]),
        torch.tensor([6, 2, 3], dtype=torch.int32),
        torch.tensor([6, 2, 3], dtype=torch.uint8),
    ):
        torch.testing.assert_close(mine(x, lengths=lengths), expected, rtol=0, atol=0)
        by_function = fb.gru(x, *(getattr(mine, n) for n in names), lengths=lengths)
        torch.testing.assert_close(by_function, expected, rtol=0, atol=0)


def test_full_lengths_are_none() -> None:
    mine, theirs = twins("LSTM", **BOTH_WAYS)
    x = randn(6, 20, INPUT)
    torch.testing.assert_close(mine(x, lengths=[6] * 20), theirs(x))
    empty = mine(x[:, :0], lengths=[])
    torch.testing.assert_close(empty, mine(x[:, :0]), rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_nothing_reads_the_padding(kind: str, poison: float) -> None:
    lengths = [3, 0, 5, 6, 1]
    layer = CLASSES[kind](INPUT, HIDDEN, **BOTH_WAYS, dtype=torch.float64)
    x, state = randn(6, 5, INPUT), first_state(layer, 5)
    outside = torch.arange(6).unsqueeze(1) >= torch.tensor(lengths)
    found = []
    for value in (0.0, poison):
        filled = x.masked_fill(outside.unsqueeze(-1), value)
        inputs = (filled, state)
        found.append(outcome(lambda x, s: layer(x, s, lengths=lengths), inputs, list(layer.parameters())))
        gradient = found[-1].gradients[0]
        assert torch.equal(gradient[outside], torch.zeros_like(gradient[outside]))
    clean, poisoned = found
    torch.testing.assert_close(poisoned.values, clean.values, rtol=0, atol=0)
    torch.testing.assert_close(poisoned.gradients, clean.gradients, rtol=1e-12, atol=1e-12)


def test_a_sequence_that_overflows_touches_no_other() -> None:
    layer = fb.nn.RNN(INPUT, HIDDEN, nonlinearity="identity", dtype=torch.float64)
    x, lengths = randn(6, 5, INPUT), [3, 6, 5, 6, 1]
    clean = layer(x, lengths=lengths)
    x[1, 0] = float("nan")
    dirty = layer(x, lengths=lengths)
    for before, after in zip(clean, dirty, strict=True):
        torch.testing.assert_close(after[:, 1:], before[:, 1:], rtol=0, atol=0)
    assert dirty[0][1:3, 0].isnan().all()
    assert torch.equal(dirty[0][3:, 0], torch.zeros_like(dirty[0][3:, 0]))


@pytest.mark.parametrize("kind", [*KINDS, "LSTM with projection"])
@pytest.mark.parametrize("is_sorted", [True, False])
def test_packed_sequences_in_and_out(kind: str, is_sorted: bool) -> None:
    more = {"proj_size": 2} if "proj" in kind else {}
    lengths = sorted([5, 1, 7, 3, 7, 2], reverse=True) if is_sorted else [5, 1, 7, 3, 7, 2]
    for settings in (BOTH_WAYS, {"batch_first": True}):
        mine, theirs = twins(kind[:4].strip(), **settings, **more)
        for state in (first_state(mine, 6), None):
            data = randn(7, 6, INPUT)
            packed = pack_padded_sequence(data, lengths, enforce_sorted=is_sorted)

            def run(layer: Any, data: Tensor, state: Any, packed: PackedSequence = packed) -> tuple:
                output, last = layer(PackedSequence(data, *packed[1:]), state)
                assert isinstance(output, PackedSequence)
                for mine_, theirs_ in zip(output[1:], packed[1:], strict=True):
                    assert mine_ is theirs_ or torch.equal(mine_, theirs_)
                return output.data, last

            found = outcome(lambda d, s: run(mine, d, s), (packed.data, state), list(mine.parameters()))  # noqa: B023
            inputs = widened(packed.data), widened(state)
            truth = outcome(lambda d, s: run(theirs, d, s), inputs, list(theirs.parameters()))  # noqa: B023
            assert_same(found, truth, torch.float64, 14)


def test_packed_sequences_of_many_lanes() -> None:
    mine, theirs = twins("GRU", **BOTH_WAYS)
    sequences = [randn(1 + (11 * k) % 17, INPUT) for k in range(70)]
    packed = packed_of(sequences)
    (mine_out, mine_last), (their_out, their_last) = mine(packed), theirs(packed)
    torch.testing.assert_close(mine_out.data, their_out.data)
    torch.testing.assert_close(mine_last, their_last)
    torch.testing.assert_close(pad_packed_sequence(mine_out), pad_packed_sequence(their_out))


def test_packed_sequences_with_all_states() -> None:
    """States come padded, in the same order as h_n."""
    layer = fb.nn.RNN(INPUT, HIDDEN, 2, dtype=torch.float64)
    x, lengths = randn(7, 3, INPUT), [2, 7, 4]
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    output, last, states = layer(packed, return_all_states=True)
    expected = layer(x, lengths=lengths, return_all_states=True)
    torch.testing.assert_close(pad_packed_sequence(output)[0], expected[0])
    torch.testing.assert_close(last, expected[1])
    torch.testing.assert_close(states, expected[2])


def test_dropout_masks_are_drawn_for_every_sequence() -> None:
    layer = fb.nn.GRU(INPUT, HIDDEN, 2, dropout=0.5, recurrent_dropout=0.5, dtype=torch.float64)
    x, lengths = randn(5, 40, INPUT), [5] * 20 + [3] * 20
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        runs.append(layer(x, lengths=lengths)[0])
    assert torch.equal(runs[0], runs[1])
    assert not torch.allclose(runs[0], runs[2])
    same = layer(x[:, :1].expand(5, 40, INPUT), lengths=[5] * 40)[0]
    assert len(same.flatten(0, 1).unique(dim=0)) > 150


def test_neither_padding_nor_order_costs_bits() -> None:
    """A batch in another order is the same sequences in another order."""
    layer = fb.nn.LSTM(INPUT, HIDDEN, **BOTH_WAYS)
    x, lengths = torch.randn(9, 33, INPUT), torch.randint(0, 10, (33,))
    order = torch.randperm(33)
    (output, last), (turned, turned_last) = layer(x, lengths=lengths), layer(x[:, order], lengths=lengths[order])
    torch.testing.assert_close(turned, output[:, order], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(turned_last, tuple(s[:, order] for s in last), rtol=1e-6, atol=1e-6)
