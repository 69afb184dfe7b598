"""Turn the results of a run into ``docs/benchmarks``: ``python -m benchmarks.report [--json FILE] [--to FOLDER]``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from . import plots
from .case import OURS
from .cases import band, call, cells, layers, lengths, products, recurrent
from .run import RESULTS

DOCS = Path(__file__).parent.parent / "docs" / "benchmarks"


def main(arguments: list[str] | None = None) -> None:
    """Write the page and its pictures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description="Write the benchmark report.")
    parser.add_argument("--json", type=Path, default=RESULTS, help="results of benchmarks.run (default: %(default)s)")
    parser.add_argument("--to", type=Path, default=DOCS, help="where the page goes (default: %(default)s)")
    options = parser.parse_args(arguments)
    if not options.json.is_file():
        raise SystemExit(f"--json: {options.json} does not exist; run `python -m benchmarks.run` first.")
    results = json.loads(options.json.read_text())
    options.to.mkdir(parents=True, exist_ok=True)
    cases = results["cases"]
    plots.times(options.to / "bank.svg", cases, ["bank_forward", "bank_gradient"])
    plots.times(
        options.to / "signal.svg",
        cases,
        ["signal_forward", "signal_gradient", "sections_forward", "sections_gradient"],
    )
    plots.times(options.to / "block.svg", cases, ["block_single", "block_sections"])
    plots.times(
        options.to / "others.svg",
        cases,
        ["varying_forward", "varying_gradient", "linear_forward", "linear_gradient"],
    )
    plots.relative(
        options.to / "cells.svg",
        cases,
        [case.name for case in cells.cases],
        {name: [name] for name in ("JAX scan", "PyTorch loop", "numba by hand")},
    )
    plots.times(options.to / "recurrent.svg", cases, [case.name for case in recurrent.cases])
    kinds = [kind.upper() for kind in layers.GATES]
    plots.relative(
        options.to / "layers.svg",
        cases,
        [case.name for case in layers.cases],
        {"torch.nn": [f"torch.nn.{kind}" for kind in kinds], "JAX scan": ["JAX scan"]},
    )
    plots.relative(
        options.to / "lengths.svg",
        cases,
        [case.name for case in lengths.cases],
        {f"torch.nn, {way}": [f"torch.nn.{kind}, {way}" for kind in kinds] for way in ("packed", "padded and masked")},
    )
    plots.times(options.to / "band.svg", cases, [case.name for case in band.cases])
    plots.relative(
        options.to / "products.svg",
        cases,
        [case.name for case in products.cases],
        {name: [name] for name in products.OTHERS},
    )
    plots.times(options.to / "call.svg", cases, [case.name for case in call.cases])
    plots.memory(options.to / "memory.svg", cases, ["bank_gradient"])
    plots.memory(options.to / "scan_memory.svg", cases, ["biquad_4096_gradient"])
    plots.memory(options.to / "layers_memory.svg", cases, [case.name for case in (*layers.cases, *lengths.cases)])
    plots.memory(options.to / "band_memory.svg", cases, [case.name for case in band.cases])
    if "scaling" in results:
        plots.scaling(options.to / "scaling.svg", results["scaling"])
    for name, text in pages(results, {path.name for path in options.to.glob("*.svg")}).items():
        (options.to / name).write_text(text, encoding="utf-8")
    print(f"Report: {options.to / 'README.md'}")


def pages(results: dict[str, Any], pictures: set[str]) -> dict[str, str]:
    """The report as markdown, which GitHub and the documentation show alike, by the names of its files."""
    numbers = ["# All measurements\n", "The [report](README.md) says how they were made.\n"]
    numbers += [_case(case) for case in results["cases"].values()]
    files = {"README.md": _report(results, pictures), "numbers.md": numbers}
    return {name: "\n".join(part for part in parts if part).rstrip() + "\n" for name, parts in files.items()}


def _report(results: dict[str, Any], pictures: set[str]) -> list[str]:
    parts = [
        "# Benchmarks\n",
        _introduction(results),
        "## Times\n",
        _picture(pictures, "bank", "Times of the filter bank"),
        _picture(pictures, "memory", "Peak memory of the filter bank with gradients"),
        _picture(pictures, "signal", "Times of one long signal"),
        _picture(pictures, "block", "Times of a short block"),
        _picture(pictures, "others", "Times of varying coefficients and linear recurrences"),
        _picture(pictures, "cells", "Pointwise cells under scan, relative to other libraries"),
        _picture(pictures, "scan_memory", "Peak memory of a scan with gradients"),
        _picture(pictures, "recurrent", "Times of torch.nn's cells under scan"),
        _picture(pictures, "layers", "Recurrent layers, relative to torch.nn and JAX"),
        _picture(pictures, "layers_memory", "Peak memory of recurrent layers with gradients"),
        _picture(pictures, "lengths", "Sequences of different lengths, relative to torch.nn"),
        _picture(pictures, "band", "Times of a recurrent layer with a band"),
        _picture(pictures, "band_memory", "Peak memory of a recurrent layer with a band"),
        _picture(pictures, "products", "Ways to multiply by a band, relative to the native one"),
        _picture(pictures, "call", "What a call and a trace cost"),
        "## What falls short\n",
        _shortfalls(results["cases"]),
        "## Targets\n",
        _targets(results["cases"]),
    ]
    if any(case.name in results["cases"] for case in products.cases):
        parts += ["## Ways to multiply by a band\n", _ways(results["cases"])]
    if "weights" in results:
        parts += ["## What a band weighs\n", _weights(results["weights"])]
    if "scaling" in results:
        parts += ["## Cost against size\n", _scaling(results["scaling"])]
        parts += [_picture(pictures, "scaling", "Cost against size")]
    if "instruction_sets" in results:
        parts += ["## Instruction sets\n", _instruction_sets(results["cases"], results["instruction_sets"])]
    return parts


def _introduction(results: dict[str, Any]) -> str:
    machine, versions = results["machine"], results["versions"]
    installed = ", ".join(f"{name} {version}" for name, version in versions.items() if version != "not installed")
    missing = [name for name, version in versions.items() if version == "not installed"]
    cpu = f"{machine['cpu']} ({machine['vector_instructions']}; caches {machine['caches']}), {machine['system']}"
    return f"""Measured on {results["date"]} on {cpu}, float32, {results["threads"]} threads for every library:
{installed}.{f" Not installed: {', '.join(missing)}." if missing else ""}

Every result was compared with float64 (scipy, or a plain loop where scipy has no such function) before it was timed.
A ratio is the median over interleaved pairs of calls, ours and the peer's, in the same run; on a shared machine times
vary more than ratios do{_quietness(results)}. Extra memory is the peak of one call in a fresh process, less what it
returns. `make bench` repeats all of it. [All measurements](numbers.md) are on a page of their own.
""" + (f"\n{results['note']}\n" if results["note"] else "")


def _quietness(results: dict[str, Any]) -> str:
    quiet, disturbed = results.get("quiet_rounds", 0), results.get("disturbed_rounds", 0)
    if not quiet + disturbed:
        return ""
    return f" ({quiet} of {quiet + disturbed} rounds began while nothing else ran)"


def _targets(cases: dict[str, dict[str, Any]]) -> str:
    lines = ["| case | target | measured | verdict |", "|---|---|---:|---|"]
    for case in cases.values():
        for target in case["targets"]:
            verdict = {True: "met", False: "**missed**", None: "not measured"}[target["met"]]
            lines.append(f"| {case['title']} | {target['text']} | {_measured(target)} | {verdict} |")
    return "\n".join(lines) + "\n"


def _measured(target: dict[str, Any]) -> str:
    if target["value"] is None:
        return "–"
    if target["quantity"] == "microseconds":
        return plots.seconds_text(target["value"] / 1e6)
    unit = {"times": "×", "speedup": "×", "memory": "MB"}[target["quantity"]]
    return f"{target['value']:.3g} {unit}"


def _shortfalls(cases: dict[str, dict[str, Any]]) -> str:
    """Every missed target and every peer that was faster, in sentences."""
    lines = []
    for case in cases.values():
        for target in case["targets"]:
            if target["met"] is False:
                lines.append(f"- {case['title']}: {target['text']} is missed, with {_measured(target)}.")
        for name, row in case["rows"].items():
            if not row["floor"] and not name.startswith(OURS) and row.get("ratio", 1) < 1:
                lines.append(f"- {case['title']}: {name} is {1 / row['ratio']:.2g} times as fast.")
    return ("\n".join(lines) or "Every target is met, and no peer was faster than feedbackward in any case.") + "\n"


def _picture(pictures: set[str], name: str, text: str) -> str:
    return f"![{text}]({name}.svg)\n" if f"{name}.svg" in pictures else ""


def _case(case: dict[str, Any]) -> str:
    weighed = any("memory" in row for row in case["rows"].values())
    head = ["", "time", "time / ours", "error / allowed"] + ["extra memory"] * weighed
    lines = [f"## {case['title']}\n", "| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    order = sorted(case["rows"].items(), key=lambda item: item[1].get("seconds", float("inf")))
    for name, row in order:
        label = f"**{name}**" if name == OURS else f"*{name} (floor)*" if row["floor"] else name
        if "seconds" not in row:
            lines.append(f"| {label} | {row['reason']} |" + " |" * (len(head) - 2))
            continue
        cells = [label, plots.seconds_text(row["seconds"])]
        cells.append(f"{row['ratio']:.3g}" if "ratio" in row and name != OURS else "")
        cells.append(f"{row['error']:.0e} / {row['tolerance']:.0e}" if "error" in row else "")
        if weighed:
            weight = row.get("memory", {})
            cells.append(f"{max(weight['extra_mb'], 0):,.1f} MB" if "extra_mb" in weight else weight.get("reason", ""))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _ways(cases: dict[str, dict[str, Any]]) -> str:
    """The time of each way, and which is the fastest."""
    ways = {OURS: "native", **{name: name.removeprefix("by ") for name in products.OTHERS}}
    lines = ["| product | " + " | ".join(ways.values()) + " | fastest |", "|---|" + "---:|" * len(ways) + "---|"]
    for name in (case.name for case in products.cases if case.name in cases):
        rows = cases[name]["rows"]
        ratios = {way: rows[way]["ratio"] if way != OURS else 1.0 for way in ways if "ratio" in rows.get(way, {})}
        cells = [plots.seconds_text(rows[way]["seconds"]) if way in ratios else "–" for way in ways]
        best = ways[min(ratios, key=lambda way: ratios[way])] if ratios else "–"
        title = cases[name]["title"].removeprefix("band_matmul, ")
        lines.append(f"| {title} | " + " | ".join(cells) + f" | {best} |")
    return "\n".join(lines) + "\n"


def _weights(rows: list[dict[str, Any]]) -> str:
    lines = ["| layer | recurrent matrix | all parameters | Adam keeps |", "|---|---:|---:|---:|"]
    for row in rows:
        megabytes = [f"{row[key]:.2f} MB" for key in ("recurrent_mb", "parameters_mb", "adam_mb")]
        lines.append(f"| {row['layer']} | " + " | ".join(megabytes) + " |")
    return "\n".join(lines) + "\n"


def _scaling(sweeps: dict[str, list[dict[str, float]]]) -> str:
    """The exponent between the two largest sizes, 1 where the cost is proportional."""
    import math

    lines = ["| size | from | to | forward: cost × | forward and backward: cost × |", "|---|---:|---:|---:|---:|"]
    for axis, points in sweeps.items():
        last = points[-1]
        start = next(point for point in points if point["size"] * 8 >= last["size"])
        growth = [last[name] / start[name] for name in ("forward", "gradient")]
        exponents = [math.log(one) / math.log(last["size"] / start["size"]) for one in growth]
        cells = [f"{one:.2f} (exponent {exponent:.2f})" for one, exponent in zip(growth, exponents, strict=True)]
        lines.append(f"| {axis} | {start['size']:,} | {last['size']:,} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


def _instruction_sets(cases: dict[str, dict[str, Any]], sets: dict[str, Any]) -> str:
    names = list(sets)
    lines = ["| case | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for case in next((found for found in sets.values() if "reason" not in found), {}):
        title = cases[case]["title"] if case in cases else case
        cells = []
        for name in names:
            row = sets[name].get(case, {})
            cells.append(plots.seconds_text(row["seconds"]) if "seconds" in row else row.get("reason", "–"))
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    reasons = [f"{name}: {found['reason']}" for name, found in sets.items() if "reason" in found]
    return "\n".join(lines + [""] * bool(reasons) + reasons) + "\n"


if __name__ == "__main__":
    main()
