"""The values of a step as tiles of registers, [lanes, rows], written as Triton source.

A value is a list of tiles, one between every two of its cuts (`emit_cuts`); a tile of R rows is as wide as the next
power of two, and what lies behind row R is never read. What mixes the rows:

- a slice is some of the tiles, a stack is all of them: nothing is computed;
- a product with a matrix of up to 64 entries is written out, entry by entry;
- the argument of a larger product, and of a gather that is no slice, is exposed: stored in a line of memory of the
  program instance's own, which stays in the first-level cache; a barrier; then every thread reads what it wants. Two
  lines take turns, step by step, so that no second barrier is needed: who writes a line has passed the barrier of the
  step between, and so has everybody who reads it. (A barrier orders memory within a program instance: PTX defines it
  so; on AMD all its waves share one first-level cache, which takes their operations in order. Triton's own gather is
  for a few rows: for hundreds it compiles to tens of thousands of shuffles.)
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

from ..engine.ir import POINTWISE, Matrix, Value
from .emit_functions import expression

Tiles = list[str]
Cuts = Sequence[int]
WRITTEN_OUT = 64  # entries of a matrix
KEPT_WEIGHTS = 96  # registers of a thread


def width_of(rows: int) -> int:
    """The columns of a tile of so many rows."""
    return 1 << max(rows - 1, 0).bit_length()


class Text:
    """Source, line by line; what `early` says stands before the loops."""

    def __init__(self) -> None:
        self.head: list[str] = []
        self.body: list[str] = []
        self.depth = 1
        self.count = 0

    def fresh(self, prefix: str = "v") -> str:
        """A name that nothing else has."""
        self.count += 1
        return f"{prefix}{self.count}"

    def line(self, code: str) -> None:
        """One more line."""
        self.body.append("    " * self.depth + code)

    def let(self, code: str, prefix: str = "v") -> str:
        """The name of what a line computes."""
        name = self.fresh(prefix)
        self.line(f"{name} = {code}")
        return name

    def early(self, code: str, prefix: str = "e") -> str:
        """The name of what is computed before the loops."""
        name = self.fresh(prefix)
        self.head.append(f"    {name} = {code}")
        return name

    @contextmanager
    def block(self, head: str) -> Any:
        """The lines inside of a loop or a condition."""
        self.line(head)
        self.depth += 1
        yield
        self.depth -= 1


class Writer:
    """Writes what a step computes.

    Args:
        text: Where to.
        lanes: Lanes of a program instance.
        warps: Warps of a program instance.
        dtype: Triton's name of the dtype.
        margins: Zeros before and after what is exposed, where diagonals leave a banded matrix.
    """

    def __init__(self, text: Text, lanes: int, warps: int, dtype: str, margins: tuple[int, int]) -> None:
        self.text, self.lanes, self.warps, self.dtype = text, lanes, warps, dtype
        self.margins = margins
        self.registers = 0  # of a thread, that hold weights
        self.known: dict[Any, str] = {}
        self.table: list[int] = []  # rows that gathers name
        self.matrices: list[Matrix] = []
        self.line_rows = 0  # of the lines through which products go, in rows of one lane
        self.parity = "0"  # which of the two lines, as an expression
        self.exposed: dict[tuple[str, ...], str] = {}  # the lines of what was exposed in this step

    def once(self, code: str) -> str:
        """The name of what is computed before the loops, found again by its code."""
        if code not in self.known:
            self.known[code] = self.text.early(code)
        return self.known[code]

    def constant(self, number: float) -> str:
        """A number, as one row."""
        shown = repr(float(number))
        if shown in ("nan", "inf", "-inf"):
            shown = f'float("{shown}")'
        return self.once(f"tl.full([{self.lanes}, 1], {shown}, {self.dtype})")

    def column(self, rows: int) -> str:
        """The rows of a tile: [1, width]."""
        return self.once(f"tl.arange(0, {width_of(rows)})[None, :]")

    def inside(self, rows: int) -> str:
        """Which elements of a tile are there."""
        return f"inside & ({self.column(rows)} < {rows})" if rows > 1 else "inside"

    def load(self, base: str, stride: str, cuts: Cuts) -> Tiles:
        """The tiles of a tensor at an address of every lane."""
        tiles = []
        for a, b in pairs(cuts):
            at = f"{base} + {a} * {stride}" if a else base
            at = f"{at} + {self.column(b - a)} * {stride}" if b - a > 1 else at
            tiles.append(self.text.let(f"tl.load({at}, mask={self.inside(b - a)}, other=0.0)"))
        return tiles

    def store(self, base: str, cuts: Cuts, tiles: Tiles) -> None:
        """Writes tiles to neighboring rows."""
        for (a, b), tile in zip(pairs(cuts), tiles, strict=True):
            at = f"{base} + {a}" if a else base
            at = f"{at} + {self.column(b - a)}" if b - a > 1 else at
            self.text.line(f"tl.store({at}, {tile}, mask={self.inside(b - a)})")

    def compute(self, v: Value, op: str, operands: Sequence[tuple[Tiles, Cuts]], cuts: Cuts) -> Tiles:
        """The tiles of one operation's result, cut as ``cuts`` says."""
        if op in POINTWISE:
            return self._pointwise(op, operands, cuts)
        if op == "concat":
            return self._stacked(operands, cuts)
        (source,) = operands
        if op == "gather":
            return [self._gather(source, v.attr[a:b]) for a, b in pairs(cuts)]
        if op in ("sum_rows", "max_rows"):
            return [self._reduced(op, source, a, b, *v.attr) for a, b in pairs(cuts)]
        return self._product(v.attr, source, cuts)

    def _pointwise(self, op: str, operands: Sequence[tuple[Tiles, Cuts]], cuts: Cuts) -> Tiles:
        one = self.constant(1.0)
        tiles = []
        for i in range(len(cuts) - 1):
            names = [tiles_of[i if own[-1] > 1 else 0] for tiles_of, own in operands]
            tiles.append(self.text.let(expression(op, names, one, self.dtype)))
        return tiles

    def _stacked(self, operands: Sequence[tuple[Tiles, Cuts]], cuts: Cuts) -> Tiles:
        ends = [0]
        for _, own in operands:
            start = ends[-1]
            ends += [start + c for c in own[1:]]
        source = [tile for tiles, _ in operands for tile in tiles], ends
        return [self._gather(source, range(a, b)) for a, b in pairs(cuts)]

    def _row(self, source: tuple[Tiles, Cuts], row: int) -> str:
        """One row, [lanes, 1]."""
        for tile, (a, b) in zip(source[0], pairs(source[1]), strict=True):
            if a <= row < b:
                if b - a == 1:
                    return tile
                chosen = f"tl.where({self.column(b - a)} == {row - a}, {tile}, 0.0)"
                return self.text.let(f"tl.sum({chosen}, axis=1, keep_dims=True)")
        return self.constant(0.0)

    def _gather(self, source: tuple[Tiles, Cuts], table: Sequence[int]) -> str:
        tiles, cuts = source
        rows = len(table)
        if rows == 1:
            return self._row(source, table[0])
        for tile, (a, b) in zip(tiles, pairs(cuts), strict=True):
            if tuple(table) == tuple(range(a, b)):
                return tile
        shape = f"[{self.lanes}, {width_of(rows)}]"
        if len(set(table) - {-1}) <= 1:  # one row, wherever it is wanted
            row = f"tl.broadcast_to({self._row(source, max(table))}, {shape})"
            return self.text.let(f"tl.where({self._there(table)}, {row}, 0.0)" if -1 in table else row)
        line, index, column = self._exposed(source), self._index(table), self.column(rows)
        there = self.once(f"({column} < {rows}) & ({index} >= 0)" if -1 in table else f"{column} < {rows}")
        return self.text.let(f"tl.load({line} + {index}, mask={there}, other=0.0)")

    def _exposed(self, source: tuple[Tiles, Cuts]) -> str:
        """Where every lane finds the rows of a value, [lanes, 1]; once in a step."""
        tiles, cuts = source
        if tuple(tiles) in self.exposed:
            return self.exposed[tuple(tiles)]
        stride = cuts[-1] + sum(self.margins)
        start, self.line_rows = self.line_rows, self.line_rows + stride
        own = self.once(f"tl.arange(0, {self.lanes})[:, None] * {stride} + {self.margins[0]}")
        line = self.text.let(f"lines + {self.parity} * line_size + {start * self.lanes} + {own}", "line")
        for tile, (a, b) in zip(tiles, pairs(cuts), strict=True):
            column = self.column(b - a)
            mask = f", mask=({own} >= 0) & ({column} < {b - a})" if b - a > 1 else ""
            self.text.line(f"tl.store({line} + {a} + {column}, {tile}{mask})")
        self.text.line("tl.debug_barrier()")
        self.exposed[tuple(tiles)] = line
        return line

    def _there(self, table: Sequence[int]) -> str:
        return self.once(f"{self._index(table)} >= 0")

    def _index(self, table: Sequence[int]) -> str:
        """The rows that a table names, [1, width]: computed if they are evenly spaced, read otherwise."""
        column, rows = self.column(len(table)), len(table)
        stride = table[1] - table[0]
        if all(r == table[0] + k * stride and r >= 0 for k, r in enumerate(table)):
            return self.once(f"{table[0]} + {column} * {stride}")
        key = ("table", tuple(table))
        if key not in self.known:
            start = len(self.table)
            self.table.extend(table)
            self.known[key] = self.once(f"tl.load(table + {start} + {column}, mask={column} < {rows}, other=-1)")
        return self.known[key]

    def _reduced(self, op: str, source: tuple[Tiles, Cuts], first: int, end: int, count: int, inner: int) -> str:
        """Rows first .. end of what is left when the middle one of the axes (outer, count, inner) is reduced."""
        tiles, cuts = source
        fold = "maximum({}, {})" if op == "max_rows" else "{} + {}"
        if cuts[-1] == count and inner == 1:  # of everything: every tile, then the tiles
            parts = []
            for tile, (a, b) in zip(tiles, pairs(cuts), strict=True):
                there = f"{self.column(b - a)} < {b - a}"
                if b - a == 1:
                    parts.append(tile)
                elif op == "max_rows":
                    parts.append(self.text.let(f"greatest({tile}, {there})"))
                else:
                    parts.append(self.text.let(f"tl.sum(tl.where({there}, {tile}, 0.0), axis=1, keep_dims=True)"))
        else:
            parts = [
                self._gather(source, [(r // inner * count + k) * inner + r % inner for r in range(first, end)])
                for k in range(count)
            ]
        while len(parts) > 1:  # in pairs: the sum of many rounds less
            pairwise = [self.text.let(fold.format(*two)) for two in zip(parts[::2], parts[1::2], strict=False)]
            parts = pairwise + parts[len(parts) - len(parts) % 2 :]
        return parts[0]

    def _product(self, m: Matrix, source: tuple[Tiles, Cuts], cuts: Cuts) -> Tiles:
        if m not in self.matrices:
            self.matrices.append(m)
        weights = f"w{self.matrices.index(m)}"
        if is_written_out(m):
            return self._written_out(m, weights, source, cuts)
        line = self._exposed(source)
        products = []
        for a, b in pairs(cuts):
            row = self.once(f"{a} + {self.column(b - a)}")
            common = f"{line}, {weights}, {row}, {row} < {b}, {m.rows}"
            shape = f"{self.lanes}, {width_of(b - a)}, {self.dtype}"
            if m.kind == "banded":
                plain = f"banded_product({common}, {m.lower + m.upper + 1}, {m.lower}, {shape})"
                products.append(self._banded(m, line, weights, a, b) or self.text.let(plain))
            else:
                depth, height = m.columns // m.groups, m.rows // m.groups
                products.append(self.text.let(f"dense_product({common}, {depth}, {height}, {shape})"))
        return products

    def _banded(self, m: Matrix, line: str, weights: str, first: int, end: int) -> str:
        """Rows of a product, by weights that every thread keeps in registers; nothing if they are too many."""
        diagonals, width = m.lower + m.upper + 1, width_of(end - first)
        size = 2 if self.dtype == "tl.float64" else 1
        registers = diagonals * max(self.lanes * width // (32 * self.warps), 1) * size
        if self.registers + registers > KEPT_WEIGHTS:
            return ""
        self.registers += registers
        row, shape, total = self.once(f"{first} + {self.column(end - first)}"), f"[{self.lanes}, {width}]", ""
        for d in range(diagonals):
            column = f"{row} + {d - m.lower}"
            there = f"({row} < {end}) & ({column} >= 0) & ({column} < {m.columns})"
            load = f"tl.load({weights} + {d * m.rows} + {row}, mask={there}, other=0.0)"
            weight = self.once(f"tl.broadcast_to({load}, {shape})")
            whole = "" if width == end - first else f", mask={row} < {end}, other=0.0"
            a = self.text.let(f"tl.load({line} + {column}{whole})")  # the margins of a line are 0
            total = self.text.let(f"tl.fma({weight}, {a}, {total})" if total else f"{weight} * {a}")
        return total

    def _written_out(self, m: Matrix, weights: str, source: tuple[Tiles, Cuts], cuts: Cuts) -> Tiles:
        """Every entry a number that is loaded before the loops."""
        rows = []
        for r in range(m.rows):
            total = ""
            for at, column in entries(m, r):
                weight = self.once(f"tl.load({weights} + {at}) + tl.zeros([{self.lanes}, 1], {self.dtype})")
                a = self._row(source, column)
                total = self.text.let(f"tl.fma({weight}, {a}, {total})" if total else f"{weight} * {a}")
            rows.append(total)
        every = range(m.rows + 1)
        return [self._gather((rows, every), range(a, b)) for a, b in pairs(cuts)]


def is_written_out(m: Matrix) -> bool:
    """Whether a matrix is small enough to stand in the source, entry by entry."""
    return sum(len(entries(m, r)) for r in range(m.rows)) <= WRITTEN_OUT if m.rows <= WRITTEN_OUT else False


def entries(m: Matrix, row: int) -> list[tuple[int, int]]:
    """Where the entries of a row are stored, and their columns; `scan` lays matrices out so."""
    if m.kind == "banded":
        offsets = [(d, row + d - m.lower) for d in range(m.lower + m.upper + 1)]
        return [(d * m.rows + row, column) for d, column in offsets if 0 <= column < m.columns]
    depth, group = m.columns // m.groups, row // (m.rows // m.groups)
    return [(k * m.rows + row, group * depth + k) for k in range(depth)]


def pairs(cuts: Cuts) -> list[tuple[int, int]]:
    """The tiles' first rows and ends."""
    return list(itertools.pairwise(cuts))
