"""The equations of recurrent layers, in LaTeX and in plain text, in general and with the sizes filled in.

    rnn     h = act(W_ih x + b_ih + W_hh h' + b_hh)          the gates of gru and lstm as in `recurrent.cells`

with h' the state of the step before. A direction that runs back in time has it at t + 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..recurrent.cells import GATES, Layer
from ..recurrent.structures import Dense

GATE_NAMES = {"rnn": ("",), "gru": ("r", "z", "n"), "lstm": ("i", "f", "g", "o")}
GATE_WORDS = {
    "r": "reset gate",
    "z": "update gate",
    "n": "new state",
    "i": "input gate",
    "f": "forget gate",
    "g": "candidate",
    "o": "output gate",
}
_FUNCTIONS = {"tanh": r"\tanh", "relu": r"\operatorname{relu}", "sigmoid": r"\sigma"}


@dataclass(frozen=True)
class Notation:
    """How the step of one layer in one direction is written.

    Attributes:
        kind: A key of `recurrent.cells.GATES`.
        layer: Its weights.
        nonlinearity: Of an RNN.
        reverse: Whether it runs back in time.
        sizes: Whether the shapes stand below the symbols.
    """

    kind: str
    layer: Layer
    nonlinearity: Any = "tanh"
    reverse: bool = False
    sizes: bool = False

    @property
    def channels(self) -> int:
        """n, those of a gate."""
        return int(self.layer.weight_ih.shape[0]) // GATES[self.kind]

    @property
    def outputs(self) -> int:
        """Those of h."""
        projection = self.layer.weight_hr
        return self.channels if projection is None else int(projection.shape[0])

    @property
    def function(self) -> str:
        """The nonlinearity of an RNN by name."""
        f = self.nonlinearity
        return f if isinstance(f, str) else getattr(f, "__name__", type(f).__name__)

    @property
    def act(self) -> str:
        """The same in LaTeX; nothing for the identity."""
        if self.function == "identity":
            return ""
        return _FUNCTIONS.get(self.function) or rf"\operatorname{{{self.function.replace('_', ' ')}}}"

    @property
    def earlier(self) -> str:
        """The index of the state before."""
        return "t+1" if self.reverse else "t-1"

    def symbol(self, name: str, *shape: int) -> str:
        """A symbol, with its shape below it."""
        if not self.sizes or not shape:
            return name
        return rf"\underbrace{{{name}}}_{{" + r" \times ".join(map(str, shape)) + "}"

    def x(self) -> str:
        """The input."""
        return self.symbol("x_t", self.layer.weight_ih.shape[1])

    def h(self) -> str:
        """The state before."""
        return self.symbol(f"h_{{{self.earlier}}}", self.outputs)

    def of_input(self, gate: str, bias: bool = True) -> str:
        """W_ih x + b_ih of a gate."""
        n, letters = self.channels, f"i{gate or 'h'}"
        product = rf"{self.symbol(f'W_{{{letters}}}', n, self.layer.weight_ih.shape[1])}\,{self.x()}"
        if self.layer.norm_ih is not None:
            product = rf"\operatorname{{norm}}({product})"
        return (
            f"{product} + {self.symbol(f'b_{{{letters}}}', n)}" if bias and self.layer.bias_ih is not None else product
        )

    def of_state(self, gate: str, bias: bool = True) -> str:
        """W_hh h + b_hh of a gate."""
        n, letters = self.channels, f"h{gate or 'h'}"
        structure = self.layer.structure
        name = (
            f"W_{{{letters}}}"
            if isinstance(structure, Dense)
            else rf"W_{{{letters}}}^{{\mathrm{{{_word(structure)}}}}}"
        )
        product = rf"{self.symbol(name, n, self.outputs)}\,{self.h()}"
        if self.layer.norm_hh is not None:
            product = rf"\operatorname{{norm}}({product})"
        return (
            f"{product} + {self.symbol(f'b_{{{letters}}}', n)}" if bias and self.layer.bias_hh is not None else product
        )

    def lines(self) -> tuple[str, ...]:
        """The equations of a step."""
        return _LINES[self.kind](self)


def _rnn(w: Notation) -> tuple[str, ...]:
    inner = f"{w.of_input('')} + {w.of_state('')}"
    return (f"{w.symbol('h_t', w.channels)} = " + (rf"{w.act}\left({inner}\right)" if w.act else inner),)


def _gru(w: Notation) -> tuple[str, ...]:
    r, z, n = w.symbol("r_t", w.channels), w.symbol("z_t", w.channels), w.symbol("n_t", w.channels)
    return (
        rf"{r} = \sigma\left({w.of_input('r')} + {w.of_state('r')}\right)",
        rf"{z} = \sigma\left({w.of_input('z')} + {w.of_state('z')}\right)",
        rf"{n} = \tanh\left({w.of_input('n')} + r_t \odot \left({w.of_state('n')}\right)\right)",
        rf"{w.symbol('h_t', w.channels)} = (1 - z_t) \odot n_t + z_t \odot h_{{{w.earlier}}}",
    )


def _lstm(w: Notation) -> tuple[str, ...]:
    gates = tuple(
        rf"{w.symbol(f'{g}_t', w.channels)} = {function}\left({w.of_input(g)} + {w.of_state(g)}\right)"
        for g, function in zip("ifgo", (r"\sigma", r"\sigma", r"\tanh", r"\sigma"), strict=True)
    )
    c = w.symbol("c_t", w.channels)
    out = r"o_t \odot \tanh(c_t)"
    if w.layer.weight_hr is not None:
        out = rf"{w.symbol('W_{hr}', w.outputs, w.channels)}\,\left({out}\right)"
    return (
        *gates,
        rf"{c} = f_t \odot c_{{{w.earlier}}} + i_t \odot g_t",
        f"{w.symbol('h_t', w.outputs)} = {out}",
    )


_LINES: dict[str, Callable[[Notation], tuple[str, ...]]] = {"rnn": _rnn, "gru": _gru, "lstm": _lstm}


def plain(w: Notation) -> tuple[str, ...]:
    """The equations of a step in plain text."""

    def product(matrix: str, vector: str, norm: Any, bias: Any, letters: str) -> str:
        text = f"{matrix} {vector}" if norm is None else f"norm({matrix} {vector})"
        return text if bias is None else f"{text} + b_{letters}"

    def both(gate: str) -> tuple[str, str]:
        x, h, layer = f"i{gate or 'h'}", f"h{gate or 'h'}", w.layer
        return (
            product(f"W_{x}", "x[t]", layer.norm_ih, layer.bias_ih, x),
            product(f"W_{h}", f"h[{w.earlier}]", layer.norm_hh, layer.bias_hh, h),
        )

    if w.kind == "rnn":
        inner = " + ".join(both(""))
        return (f"h[t] = {inner if w.function == 'identity' else f'{w.function}({inner})'}",)
    if w.kind == "gru":
        of_x, of_h = both("n")
        return (
            f"r = s({' + '.join(both('r'))})",
            f"z = s({' + '.join(both('z'))})",
            f"n = tanh({of_x} + r * ({of_h}))",
            f"h[t] = (1 - z) * n + z * h[{w.earlier}]",
        )
    gates = [f"{g} = {'tanh' if g == 'g' else 's'}({' + '.join(both(g))})" for g in "ifgo"]
    out = "o * tanh(c[t])" if w.layer.weight_hr is None else "W_hr (o * tanh(c[t]))"
    return (*gates, f"c[t] = f * c[{w.earlier}] + i * g", f"h[t] = {out}")


def _word(structure: Any) -> str:
    words = {"Banded": "band", "BlockDiagonal": "block", "Diagonal": "diag", "LowRankPlusDiagonal": "low"}
    return words.get(type(structure).__name__, "s")
