"""Random cells: written as Python, held against the plain loop, and cut down to a few lines where they differ.

A cell grows line by line. Every line is tried on real tensors as soon as it is drawn, and kept when its result is a
small, finite tensor, so that shapes need no rules of their own here.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import scanning
import torch
from torch import Tensor
from torch.nn import functional as F

CONDITIONING = 1e5  # the layer norm of two nearly equal numbers has a slope of hundreds, for every derivative again
LARGEST, HIGHEST = 150, 20.0  # elements and magnitude of a value

UNARY = (
    "torch.tanh({a})", "torch.sigmoid({a})", "torch.sin({a})", "torch.cos({a})", "torch.exp(-{a}.abs())",
    "torch.sqrt({a}.abs() + 0.5)", "{a}.abs()", "torch.relu({a})", "F.gelu({a})", "F.softplus({a})", "-{a}", "1 - {a}",
    "0.3 * {a} ** 2", "0.5 * {a}", "{a} / 3", "{a}.clamp(-0.5, 0.7)", "F.silu({a})", "F.elu({a})", "torch.atan({a})",
    "torch.erf({a})", "torch.log1p({a}.abs())", "torch.rsqrt({a} ** 2 + 1)", "F.leaky_relu({a}, 0.1)", "{a}.detach()",
    "{a}.clone()", "torch.where({a} > 0.1, {a}, 0.2)", "torch.round({a}) + {a}", "torch.sign({a}) * 0.1 + {a}",
    "2.0 ** {a}", "{a} ** 3 * 0.1", "torch.zeros_like({a})", "torch.expm1(-{a}.abs())",
)  # fmt: skip
BINARY = (
    "{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} / ({b}.abs() + 1)", "torch.maximum({a}, {b})",
    "torch.minimum({a}, {b})", "torch.where({a} > {b}, {a}, {b} * 0.5)", "torch.atan2({a}, {b}.abs() + 0.5)",
    "torch.lerp({a}, {b}, 0.3)", "torch.addcmul({a}, {b}, {b}, value=0.2)", "({a}.abs() + 0.5) ** {b}.tanh()",
    "torch.hypot({a}, {b} + 1.5)", "torch.logaddexp({a}, {b})", "{a} * ({b} > 0)", "torch.fmod({a}, {b}.abs() + 0.7)",
    "torch.cat([{a}, {b}], -1)", "torch.cat([{a}, {b}], 0)", "torch.stack([{a}, {b}], -1)",
    "torch.stack([{a}, {b}]).mean(0)", "{a} @ {b}", "torch.tanh({a} @ {b}.transpose(-1, -2))",
    "torch.einsum('...i,...i->...', {a}, {b})",
    "{a}[..., None] * {b}[..., None, :]", "torch.clamp({a}, max={b})",
)  # fmt: skip
COUPLED = (
    "{a}.sum(-1)", "{a}.mean(-1, keepdim=True)", "{a}.amax(-1)", "{a}.amin(0, keepdim=True)", "{a}.mean()",
    "{a}.sum(0)",
    "torch.softmax({a}, -1)", "torch.log_softmax({a}, -1)", "F.layer_norm({a}, {a}.shape[-1:])", "{a}.cumsum(-1) * 0.5",
    "{a}.norm(dim=-1, keepdim=True)", "{a}.var(-1, unbiased=False)", "{a}.logsumexp(-1)", "{a}.softmax(0)",
)  # fmt: skip
MOVES = (
    "{a}.flip(-1)", "torch.roll({a}, 1, -1)", "{a}[..., :2]", "{a}[..., 1:]", "{a}[..., ::2]", "{a}[..., 0]",
    "{a}[..., -1:]", "{a}[0]", "{a}.unsqueeze(-1)", "{a}.unsqueeze(0)", "{a}.transpose(-1, -2)", "{a}.flatten(-2)",
    "{a}.reshape(-1)",
    "{a}.chunk(2, -1)[1]", "{a}.unbind(-1)[0]", "F.pad({a}, (1, 0))", "F.pad({a}, (1, 1))[..., 2:]",
    "{a}.repeat_interleave(2, -1)", "torch.cat([{a}[..., 1:], {a}[..., :1]], -1)", "{a}[..., [0, 0]]",
    "{a}.expand(2, *{a}.shape)", "{a}.transpose(0, -1)", "written({a})", "{a}.diagonal(dim1=-2, dim2=-1)",
    "{a}.movedim(-1, 0)",
)  # fmt: skip
TEMPLATES = (UNARY, BINARY, COUPLED, MOVES)


def written(a: Tensor) -> Tensor:
    """A copy that is changed in place."""
    out = a.clone()
    out[..., 0] = 0.5 * a[..., -1]
    out[..., -1:] += 0.1
    return out.mul_(0.9)


@dataclass(frozen=True)
class Recipe:
    """A cell and what it runs on; ``lines`` are names and expressions."""

    seed: int
    carry: dict[str, tuple[int, ...]]
    x: dict[str, tuple[int, ...]]
    parameters: dict[str, tuple[int, ...]]
    lines: tuple[tuple[str, str], ...]
    after: tuple[str, ...]
    y: tuple[str, ...]
    settings: dict[str, Any]
    steps: int

    def source(self) -> str:
        """The cell as Python."""
        body = [f"{name} = {expression}" for name, expression in self.lines]
        parts = (("carry", self.carry), ("x", self.x))
        unpack = [f"{''.join(f'{name}, ' for name in names)}= {whole}" for whole, names in parts if names]
        ends = [f"({''.join(f'{e}, ' for e in some)})" for some in (self.after, self.y)]
        return "\n    ".join(["def cell(carry, x):", *unpack, *body, f"return {ends[0]}, {ends[1]}"])

    def __str__(self) -> str:
        shapes = {**self.carry, **self.x, **self.parameters}
        return f"{self.source()}\n# {shapes}, {self.steps} steps, {self.settings}, seed {self.seed}"

    def numbers(self, names: dict[str, tuple[int, ...]], *lead: int) -> dict[str, Tensor]:
        return {n: 0.7 * torch.randn((*lead, *shape), dtype=torch.float64) for n, shape in names.items()}

    def make(self) -> tuple[Any, tuple[Tensor, ...], tuple[Tensor, ...], list[Tensor]]:
        """The arguments of a scan, and the parameters."""
        torch.manual_seed(self.seed)
        parameters = self.numbers(self.parameters)
        carry, x = self.numbers(self.carry), self.numbers(self.x, self.steps)
        names = {"torch": torch, "F": F, "written": written, **parameters}
        exec(self.source(), names)
        return names["cell"], tuple(carry.values()), tuple(x.values()), list(parameters.values())


def grow(seed: int) -> Recipe:
    """A random cell."""
    choose = random.Random(seed)
    torch.manual_seed(seed)
    batch, channels = choose.choice(((), (1,), (3,), (5,), (2, 3), (17,))), choose.choice((1, 2, 3, 4, 6))
    shapes = [(*batch, channels)] * 4 + [batch, (channels,), (), (*batch, 2, channels), (1, channels)]
    carry = {f"c{i}": choose.choice(shapes) for i in range(choose.choice((1, 1, 2, 3)))}
    x = {f"x{i}": choose.choice(shapes) for i in range(choose.choice((0, 1, 1, 2)))}
    weights = [(channels, channels), (channels,), (), (*batch, channels), (channels, 2 * channels)]
    parameters = {f"p{i}": choose.choice(weights) for i in range(choose.choice((0, 1, 2, 3)))}
    settings: dict[str, Any] = {}
    if choose.random() < 0.3:
        settings["reverse"] = True
    if choose.random() < 0.3:
        settings["checkpoint"] = choose.choice((1, 3, 16, None))
    if not x:
        settings["length"] = 9
    steps = choose.choice((1, 2, 5, 9, 17)) if x else 9
    recipe = Recipe(seed, carry, x, parameters, (), (), (), settings, steps)
    values = {**recipe.numbers(carry), **recipe.numbers(x), **recipe.numbers(parameters)}
    names = {"torch": torch, "F": F, "written": written}
    lines: list[tuple[str, str]] = []
    for _ in range(choose.randint(2, 14)):
        found = _line(choose, values, names)
        if found:
            name = f"v{len(lines)}"
            expression, values[name] = found
            lines.append((name, expression))
    after = tuple(_after(choose, name, values) for name in carry)
    own = [name for name in values if name not in parameters]
    y = tuple(choose.choice(own[-6:] if choose.random() < 0.7 else own) for _ in range(choose.choice((0, 1, 1, 2))))
    return dataclasses.replace(recipe, lines=tuple(lines), after=after, y=y)


def _line(choose: random.Random, values: dict[str, Tensor], names: dict[str, Any]) -> tuple[str, Tensor] | None:
    for _ in range(20):
        template = choose.choice(choose.choice(TEMPLATES))
        recent = list(values)[-5:] if choose.random() < 0.6 else list(values)
        expression = template.format(a=choose.choice(recent), b=choose.choice(list(values)))
        try:
            result = eval(expression, {**names, **values})
        except (RuntimeError, IndexError, ValueError, TypeError):
            continue
        if 0 < result.numel() <= LARGEST and bool(result.isfinite().all()) and result.abs().max() < HIGHEST:
            return expression, result
    return None


def _after(choose: random.Random, name: str, values: dict[str, Tensor]) -> str:
    """A new value of the carry ``name``: what has, or broadcasts to, its shape, kept within bounds."""
    shape = values[name].shape
    fitting = [n for n, v in values.items() if n != name and fits(v.shape, shape)]
    if not fitting:
        return f"torch.sin({name})"
    chosen = choose.choice(fitting[-4:])
    if values[chosen].shape == shape and choose.random() < 0.4:
        return f"torch.tanh({chosen})" if choose.random() < 0.8 else f"{chosen}.clamp(-1, 1)"
    return f"0.5 * {name} + 0.5 * torch.tanh({chosen})"


def fits(shape: torch.Size, other: torch.Size) -> bool:
    try:
        return torch.broadcast_shapes(shape, other) == other
    except RuntimeError:
        return False


def failure(recipe: Recipe) -> str:
    """What goes wrong with a cell, or nothing."""
    cell, init, xs, parameters = recipe.make()
    try:
        after, _ = cell(init, tuple(x[0] for x in xs))
    except Exception:
        return ""  # no cell at all
    if any(a.shape != b.shape for a, b in zip(after, init, strict=True)):
        return ""
    second = recipe.steps < 10
    plain = {k: v for k, v in recipe.settings.items() if k != "checkpoint"}
    truth = scanning.outcome(cell, init, xs, parameters, second=second, backend="eager", **plain)
    if not all(bool(t.isfinite().all()) for part in truth for t in part):
        return ""  # torch itself divides by zero somewhere
    try:
        mine = scanning.outcome(cell, init, xs, parameters, second=second, **recipe.settings)
        scanning.assert_same(mine, truth, torch.float64, recipe.steps, conditioning=CONDITIONING)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def shrink(recipe: Recipe) -> Recipe:
    """A smaller cell that fails as well: fewer lines, leaves, settings and steps, as long as that works."""
    for _ in range(200):
        for smaller in _smaller(recipe):
            if failure(smaller):
                recipe = smaller
                break
        else:
            return recipe
    return recipe


def _smaller(r: Recipe) -> Iterator[Recipe]:
    replace = dataclasses.replace
    for i in reversed(range(len(r.lines))):
        yield replace(r, lines=r.lines[:i] + r.lines[i + 1 :])
    for i in range(len(r.y)):
        yield replace(r, y=r.y[:i] + r.y[i + 1 :])
    if len(r.carry) > 1:
        for i, name in enumerate(r.carry):
            carry = {k: v for k, v in r.carry.items() if k != name}
            yield replace(r, carry=carry, after=r.after[:i] + r.after[i + 1 :])
    for i, name in enumerate(r.carry):
        if r.after[i] != name:
            yield replace(r, after=(*r.after[:i], name, *r.after[i + 1 :]))
    for name in r.parameters:
        yield replace(r, parameters={k: v for k, v in r.parameters.items() if k != name})
    for name in r.settings:
        if name != "length":
            yield replace(r, settings={k: v for k, v in r.settings.items() if k != name})
    if r.x and r.steps > 1:
        yield replace(r, steps=r.steps // 2)
    for i, (name, expression) in enumerate(r.lines):  # a line may need only one of its operands
        for other in (*r.carry, *r.x, *(n for n, _ in r.lines[:i])):
            if expression != other and other in expression:
                yield replace(r, lines=(*r.lines[:i], (name, other), *r.lines[i + 1 :]))
