"""Run the benchmarks: ``python -m benchmarks.run [--only CASE ...] [--threads 2] [--json FILE]``.

Every result is compared with the expected one before it is timed. A library that cannot be imported is a row with the
reason. Ratios are medians over interleaved pairs of calls, ours and the peer's, within this run.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from . import machine

RESULTS = Path(__file__).parent / "results" / "latest.json"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Time feedbackward and its peers.")
    parser.add_argument("--only", nargs="+", metavar="CASE", help="run these cases only (see --list)")
    parser.add_argument("--peers", nargs="+", metavar="PEER", help="time these peers only, besides ours and the floors")
    parser.add_argument("--threads", type=int, default=2, help="cores for every library (default: 2)")
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds per pair (default: 9)")
    parser.add_argument(
        "--patience", type=float, default=120, help="seconds to wait for other work to end, in all (default: 120)"
    )
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the results go (default: %(default)s)")
    parser.add_argument("--small", action="store_true", help="small inputs and no timing worth reading: a smoke test")
    parser.add_argument("--no-memory", action="store_true", help="do not measure peak memory")
    parser.add_argument("--no-scaling", action="store_true", help="do not measure the cost against size")
    parser.add_argument("--no-isa", action="store_true", help="do not repeat our cases for every instruction set")
    parser.add_argument("--note", default="", help="a sentence about this run, kept with the results")
    parser.add_argument("--list", action="store_true", help="list the cases and their peers, and stop")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run the chosen cases and write the results."""
    options = parse(arguments)
    machine.use_threads(options.threads)

    import torch

    from .measure import run_case
    from .quiet import Quiet
    from .registry import CASES
    from .scaling import instruction_sets, sweeps
    from .weights import weigh

    torch.set_num_threads(options.threads)
    if options.list:
        for case in CASES.values():
            print(f"{case.name}: {case.title}\n    {', '.join((*case.peers, *case.floors))}")
        return
    unknown = [name for name in options.only or () if name not in CASES]
    if unknown:
        raise SystemExit(f"--only: no case named {', '.join(unknown)}; there are {', '.join(CASES)}.")

    rounds = 2 if options.small else options.rounds
    quiet = Quiet(0 if options.small else options.patience)
    results: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine.describe(),
        "versions": machine.versions(),
        "threads": options.threads,
        "rounds": rounds,
        "note": options.note,
        "cases": {},
    }
    for name in options.only or CASES:
        print(CASES[name].title, flush=True)
        results["cases"][name] = run_case(
            CASES[name],
            quiet,
            rounds=rounds,
            threads=options.threads,
            only=set(options.peers) if options.peers else None,
            weigh=not options.no_memory and not options.small,
            small=options.small,
        )
        results["quiet_rounds"], results["disturbed_rounds"] = quiet.quiet, quiet.disturbed
        _write(options.json, results)
    results["weights"] = weigh()
    if not options.no_scaling:
        print("Cost against size", flush=True)
        results["scaling"] = sweeps(min(rounds, 5), quiet, options.small)
    if not options.no_isa:
        print("Instruction sets", flush=True)
        order = ["baseline", "avx2", "avx512"]
        supported = order[: order.index(machine.vector_instructions()) + 1]
        results["instruction_sets"] = instruction_sets(supported, options.threads, min(rounds, 5), options.small)
    _write(options.json, results)
    print(f"Results: {options.json}")


def _write(path: Path, results: dict[str, Any]) -> None:
    """Called after every case, so that a run that is cut short leaves what it has measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
