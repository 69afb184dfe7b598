"""What a recurrent function is given, validated once: every mistake gets a sentence that names the layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..engine.scan import DEVICES
from .cells import GATES, Layer
from .structures import Dense, Structure

Weights = Tensor | Sequence[Tensor]


@dataclass(frozen=True)
class Given:
    """The arguments of a recurrent function.

    Attributes:
        x: (T, B, input).
        layers: The weights, one element for every layer and direction.
        states: What the first carry is made of, each (layers * directions, B, n).
        lengths: (B,), or None where all have T.
        batched: Whether x came with a batch.
        batch_first: Whether the batch came first.
    """

    x: Tensor
    layers: list[Layer]
    states: list[Tensor]
    lengths: Tensor | None
    batched: bool
    batch_first: bool

    def output(self, y: Tensor, lead: int = 0) -> Tensor:
        """A tensor (*lead, T, B, n) in the user's order of axes."""
        if not self.batched:
            return y.squeeze(lead + 1)
        return y.transpose(lead, lead + 1) if self.batch_first else y

    def state(self, h: Tensor) -> Tensor:
        """A tensor (layers * directions, B, n) as the user gave one."""
        return h if self.batched else h.squeeze(1)


def validated(
    name: str,
    x: Tensor,
    weights: Mapping[str, Weights | None],
    states: Mapping[str, Tensor | None],
    *,
    structure: Structure | None,
    num_layers: int | None,
    directions: int,
    batch_first: bool,
    lengths: Tensor | Sequence[int] | None,
    kind: str | None = None,
) -> Given:
    """The arguments, or a sentence about the first one that does not fit.

    Args:
        name: Of the function or module.
        x: The sequence.
        weights: By the names of `Layer`'s attributes, a list with one tensor for every layer and direction.
        states: The first states, by their names.
        structure: Of the recurrent matrices; None: dense.
        num_layers: How many layers there should be; None: as many as weights.
        directions: 1 or 2.
        batch_first: Whether x is (B, T, input).
        lengths: Of the sequences.
        kind: A key of `cells.GATES`; None: the name is one.

    Raises:
        ValueError: A shape, a number or a dtype does not fit.
        TypeError: Something is no tensor.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: x is a {type(x).__name__}, expected a tensor")
    if x.ndim not in (2, 3):
        order = "(B, T, input)" if batch_first else "(T, B, input)"
        raise ValueError(f"{name}: x has shape {tuple(x.shape)}, expected {order}, or (T, input) without a batch")
    x, states = _widened(x, states)
    layers = _layers(name, weights, structure or Dense(), num_layers, directions)
    batched = x.ndim == 3
    time_first = x.transpose(0, 1) if batched and batch_first else x if batched else x.unsqueeze(1)
    gates = GATES[kind or name]
    sizes = [_check_layer(name, gates, k, layer, x, layers, directions, batch_first) for k, layer in enumerate(layers)]
    widths = [
        (layer.weight_hr.shape[0] if layer.weight_hr is not None else n) for layer, n in zip(layers, sizes, strict=True)
    ]
    batch = time_first.shape[1]
    first = [
        _state(name, what, given, x, (len(layers), batch, width), batched, batch_first)
        for (what, given), width in zip(states.items(), (widths[0], sizes[0]), strict=False)
    ]
    found = None if lengths is None else _lengths(name, lengths, time_first)
    return Given(time_first, layers, first, found, batched, batch_first)


def check_share(name: str, argument: str, rate: Any) -> None:
    """Raise a ValueError unless rate is a number from 0 to below 1."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
        raise ValueError(f"{name}: {argument} is {rate!r}, expected a share from 0 to below 1")


def _widened(x: Tensor, states: Mapping[str, Tensor | None]) -> tuple[Tensor, Mapping[str, Tensor | None]]:
    """Under autocast, what an earlier layer left in a narrow dtype: a recurrence keeps the precision of its state."""
    if x.device.type not in DEVICES or not torch.is_autocast_enabled(x.device.type):
        return x, states

    def widen(t: Tensor) -> Tensor:
        return t.float() if t.dtype in (torch.bfloat16, torch.float16) else t

    return widen(x), {name: widen(s) if isinstance(s, Tensor) else s for name, s in states.items()}


def _layers(
    name: str,
    weights: Mapping[str, Weights | None],
    structure: Structure,
    num_layers: int | None,
    directions: int,
) -> list[Layer]:
    lists = {what: _listed(name, what, given) for what, given in weights.items() if given is not None}
    expected = len(lists["weight_ih"]) if num_layers is None else num_layers * directions
    times = f"{directions} directions of " if directions > 1 else ""
    for what, tensors in lists.items():
        if len(tensors) != expected or not expected or expected % directions:
            wanted = f"{times}{num_layers} layers" if num_layers else f"as many as weight_ih, which has {expected}"
            raise ValueError(f"{name}: {what} has {len(tensors)} tensors, expected one for each of {wanted}")
    return [Layer(structure, **{what: tensors[k] for what, tensors in lists.items()}) for k in range(expected)]


def _listed(name: str, what: str, given: Weights) -> list[Tensor]:
    tensors = [given] if isinstance(given, Tensor) else list(given)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name}: {what} has a {type(tensor).__name__}, expected a tensor, or a list of tensors")
    return tensors


def _check_layer(
    name: str, gates: int, k: int, layer: Layer, x: Tensor, layers: Sequence[Layer], directions: int, batch_first: bool
) -> int:
    """The channels of a layer whose weights fit together."""
    where = f"layer {k // directions}" + (", reverse" if directions > 1 and k % directions else "")
    rows = layer.weight_ih.shape[0] if layer.weight_ih.ndim else 0
    below = layers[k - directions - k % directions] if k >= directions else None
    if below is None:
        columns, of_what = x.shape[-1], "input"
    else:
        out = below.weight_hr if below.weight_hr is not None else below.weight_ih
        columns = directions * (out.shape[0] if out is below.weight_hr else out.shape[0] // gates)
        of_what = "output of the layer below"
    n = rows // gates
    size = "hidden" if gates == 1 else f"{gates} * hidden"

    def refuse(
        what: str, tensor: Tensor, expected: tuple[int, ...], means: str, causes: Sequence[tuple[bool, str]]
    ) -> None:
        if tuple(tensor.shape) == expected:
            if tensor.dtype != x.dtype:
                raise ValueError(f"{name}: {what} of {where} is {tensor.dtype}, but x is {x.dtype}, expected the same")
            return
        cause = next((f": {words}" for is_so, words in causes if is_so), "")
        shape = tuple(tensor.shape)
        raise ValueError(f"{name}: {what} of {where} has shape {shape}, expected {expected} = ({means}){cause}")

    shape = tuple(layer.weight_ih.shape)
    reads_x = below is not None and len(shape) == 2 and shape[1] == x.shape[-1] != columns
    fits_hh = isinstance(layer.structure, Dense) and layer.weight_hh.ndim == 2 and layer.weight_hh.shape[0] == rows
    may_be_transposed = len(shape) == 2 and not reads_x and not fits_hh
    is_transposed = may_be_transposed and shape[0] == columns and shape[1] % gates == 0 and shape[0] != shape[1]
    other = shape[1] // gates if is_transposed and shape[1] != columns else n
    axis = 0 if batch_first else 1
    refuse(
        "weight_ih",
        layer.weight_ih,
        (
            gates * other
            if is_transposed and shape[1] != columns
            else rows
            if rows % gates == 0
            else gates * max(n, 1),
            columns,
        ),
        f"{size}, {of_what}",
        [
            (reads_x, "layers above the first read the output of the layer below, not x"),
            (is_transposed, "it looks transposed, weights stand at the left: W x"),
            (
                below is None and x.ndim == 3 and len(shape) == 2 and shape[1] in (x.shape[axis], x.shape[1 - axis]),
                f"x has shape {tuple(x.shape)}, its last axis is the input",
            ),
        ],
    )
    shape_hh, means = layer.structure.weight_shape(n, gates), f"as {layer.structure} stores {gates} of ({n}, {n})"
    if isinstance(layer.structure, Dense):
        means = f"{size}, hidden"
        if layer.weight_hr is not None:
            shape_hh, means = (rows, layer.weight_hr.shape[0]), f"{size}, projection"
    elif layer.weight_hr is not None:
        raise ValueError(f"{name}: a projection needs dense recurrent matrices, but structure is {layer.structure}")
    layer.structure.check(n)
    turned = tuple(layer.weight_hh.shape) == shape_hh[::-1]
    refuse(
        "weight_hh", layer.weight_hh, shape_hh, means, [(turned, "it looks transposed, weights stand at the left: W h")]
    )
    for what in ("bias_ih", "bias_hh", "norm_ih", "norm_hh"):
        vector = getattr(layer, what)
        if vector is not None:
            refuse(what, vector, (rows,), size, [])
    if layer.weight_hr is not None:
        refuse("weight_hr", layer.weight_hr, (layer.weight_hr.shape[0], n), "projection, hidden", [])
    return n


def _state(
    name: str,
    what: str,
    given: Tensor | None,
    x: Tensor,
    shape: tuple[int, int, int],
    batched: bool,
    batch_first: bool,
) -> Tensor:
    if given is None:
        return x.new_zeros(shape)
    expected = shape if batched else (shape[0], shape[2])
    if not isinstance(given, Tensor):
        raise TypeError(f"{name}: {what} is a {type(given).__name__}, expected a tensor {expected}")
    if tuple(given.shape) != expected:
        means = "layers * directions, B, hidden" if batched else "layers * directions, hidden"
        time = x.shape[1 if batch_first else 0]
        hint = ""
        if batched and given.ndim == 3 and given.shape[1] == time != shape[1]:
            hint = f": x {tuple(x.shape)} is read as {'(B, T, input)' if batch_first else '(T, B, input)'}, with "
            hint += f"batch_first={not batch_first} it would have a batch of {time}"
        elif batched and batch_first and given.ndim == 3 and tuple(given.shape) == (shape[1], shape[0], shape[2]):
            hint = ": batch_first turns the axes of x and of the output, not those of the states"
        raise ValueError(f"{name}: {what} has shape {tuple(given.shape)}, expected {expected} = ({means}){hint}")
    if given.dtype != x.dtype:
        raise ValueError(f"{name}: {what} is {given.dtype}, but x is {x.dtype}, expected the same")
    return given if batched else given.unsqueeze(1)


def _lengths(name: str, given: Any, x: Tensor) -> Tensor:
    lengths = torch.as_tensor(given, device="cpu")  # where they are read
    lengths = lengths.long() if isinstance(given, Sequence) and not given else lengths  # nothing says its dtype
    steps, batch = x.shape[:2]
    if tuple(lengths.shape) != (batch,) or lengths.dtype.is_floating_point or lengths.dtype == torch.bool:
        raise ValueError(
            f"{name}: lengths has shape {tuple(lengths.shape)} and {lengths.dtype}, expected ({batch},) integers = (B,)"
        )
    if batch and not (int(lengths.min()) >= 0 and int(lengths.max()) <= steps):
        raise ValueError(
            f"{name}: lengths go from {int(lengths.min())} to {int(lengths.max())}, expected 0 to {steps} = T"
        )
    return lengths
