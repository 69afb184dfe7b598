"""What `benchmarks.gpu` prints: a line for every measurement as it comes, and a verdict on every target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .gpu_measurement import Measurement
from .gpu_work import COPY, OURS, Case, Target

NAME = 56  # characters
COLUMNS = {
    "error/allowed": "14.1e",
    "first": "8.0f",
    "eager": "10.3f",
    "graph": "9.3f",
    "copy": "9.3f",
    "x copy": "9.3g",
    "extra MB": "9.1f",
}
WIDTHS = {name: int(form.split(".")[0]) for name, form in COLUMNS.items()}
HEAD = f"{'case':<{NAME}}" + "".join(f"{name:>{width}}" for name, width in WIDTHS.items())


def line(m: Measurement, under: str = "") -> str:
    """A measurement; that of a peer names the case, unless it stands ``under`` another of the same case."""
    above = "" if m.who == OURS or m.case == under else f"{m.case}\n"
    name = m.case if m.who == OURS else f"  {m.who}"
    values = m.error, m.first, m.eager, m.graph, m.copy, m.best / m.copy if m.best and m.copy else None, m.extra
    numbers = "".join(
        " " * WIDTHS[column] if value is None else f"{value:{form}}"
        for (column, form), value in zip(COLUMNS.items(), values, strict=True)
    )
    wrong = "WRONG " if m.error is not None and not m.right else ""
    return f"{above}{name:<{NAME}}{numbers}  {wrong}{m.trouble}".rstrip()


@dataclass
class Verdict:
    """What became of a target: "met", "MISSED", "WRONG" if our numbers are, "UNMEASURED" if there is no ratio."""

    case: str
    target: str
    verdict: str
    value: float | None = None
    reason: str = ""

    @property
    def line(self) -> str:
        """For the table of targets."""
        value = "" if self.value is None else f"{self.value:.3g}"
        return f"{self.case:<{NAME}}  {self.target:<58}{value:>9}  {self.verdict}  {self.reason}".rstrip()


def verdicts(cases: Sequence[Case], measured: Sequence[Measurement]) -> Iterator[Verdict]:
    """A verdict on every target of the cases, measured or not."""
    known = {(m.case, m.who): m for m in measured}
    for case in cases:
        nothing = Measurement(case.name, OURS, trouble="not run")
        for target in case.targets:
            peer = None if target.against == COPY else known.get((case.name, target.against), nothing)
            yield _verdict(case.name, target, known.get((case.name, OURS), nothing), peer)


def _verdict(case: str, target: Target, ours: Measurement, peer: Measurement | None) -> Verdict:
    """Against a copy the better of both our times counts, against a peer the eager one, as its own is."""
    if ours.error is not None and not ours.right:
        return Verdict(case, target.text, "WRONG", reason=f"{ours.error:.3g} times the tolerance")
    if ours.eager is None:
        return Verdict(case, target.text, "UNMEASURED", reason=ours.trouble)
    if peer is None:
        if ours.best is None or not ours.copy:
            return Verdict(case, target.text, "UNMEASURED", reason=ours.trouble)
        value = ours.best / ours.copy
    elif peer.error is not None and not peer.right:
        reason = f"the peer's numbers differ by {peer.error:.3g} times the tolerance: it computes something else"
        return Verdict(case, target.text, "UNMEASURED", reason=reason)
    elif peer.eager is None:
        return Verdict(case, target.text, "UNMEASURED", reason=peer.trouble)
    else:
        value = peer.eager / ours.eager
    return Verdict(case, target.text, "met" if target.met(value) else "MISSED", value)
