"""benchmarks/gpu.py: without a GPU it says so; every line of it runs in the interpreter, and what is wrong is seen."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")

FOR_GPUS = bool(torch.version.cuda or torch.version.hip)

pytestmark = pytest.mark.skipif(not (ROOT / "benchmarks" / "gpu.py").exists(), reason="the benchmarks are not here")
rehearsal = pytest.mark.skipif(FOR_GPUS, reason="a pretended GPU needs torch for the CPU")


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", *arguments],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so():
    done = run()
    assert done.returncode == 1
    assert "torch.cuda.is_available() is False" in done.stderr
    assert not done.stdout


CASES = (
    "bank, forward and backward",
    "one signal of 1,000,000, forward",
    "linear recurrence [16, 4096, 256], forward",
    "BandRNN, 1024 channels +-8, a training step",
    "cell one_pole, 8192 lanes, forward",
)


@pytest.mark.skipif(bool(torch.version.cuda or torch.version.hip), reason="a pretended GPU needs a torch for the CPU")
@rehearsal
def test_a_rehearsal_checks_and_times_everybody(tmp_path):
    file = tmp_path / "gpu.json"
    done = run("--rehearse", "--json", str(file), "--only", *CASES)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {(m["case"], m["who"]): m for m in json.loads(file.read_text())["measurements"]}
    assert {case for case, _ in found} == set(CASES)
    always = [m for (_, who), m in found.items() if who == "feedbackward" or "dense RNN" in who]
    assert len(always) == len(CASES) + 2
    for m in always:
        assert m["error"] <= 1, m
        assert m["eager"] > 0, m
    for m in found.values():  # torchaudio, or a compiler for torch's, may not be here
        assert m["error"] is not None or m["trouble"], m


@rehearsal
def test_what_was_not_run_is_in_the_file(tmp_path):
    file = tmp_path / "gpu.json"
    done = run("--rehearse", "--minutes", "0", "--json", str(file), "--only", CASES[0])
    assert done.returncode == 1
    results = json.loads(file.read_text())
    assert [m["trouble"] for m in results["measurements"]] == ["not run: the minutes were over"] * 2
    assert [target["verdict"] for target in results["targets"]] == ["UNMEASURED"] * 2


def test_every_target_has_its_peer():
    from benchmarks.gpu_cases import CASES
    from benchmarks.gpu_work import COPY

    against = {
        (case.name, target.against): target.against in (COPY, *case.peers) for case in CASES for target in case.targets
    }
    assert all(against.values()), against


def test_a_wrong_result_is_not_timed():
    from broken_cases import case

    from benchmarks.gpu_measure import measure

    def off_by(error, where=slice(None)):
        y = torch.ones(3)
        y[where] += error
        return measure(case("off", lambda inputs, device: lambda: (y,)), "feedbackward", CPU, True, lambda m: None)

    for wrong in (off_by(1e-3), off_by(float("nan"), 1), off_by(float("inf"), 2)):
        assert not wrong.right
        assert wrong.eager is None
    right = off_by(1e-5)
    assert right.right
    assert right.eager > 0


def test_one_wrong_element_among_many_is_seen():
    from benchmarks.gpu_work import error

    y = torch.ones(1_000_000)
    y[3] = 1.01
    assert error([y], [np.ones(1_000_000)]) == pytest.approx(0.01, rel=1e-3)


def test_a_peer_counts_only_if_its_numbers_are_right():
    from broken_cases import case, ones

    from benchmarks.gpu_measure import Measurement, measure
    from benchmarks.gpu_table import verdicts
    from benchmarks.gpu_work import Peer, Target

    def missing(inputs, device):
        raise ModuleNotFoundError("No module named 'peer'")

    def twice(inputs, device):
        return lambda: (2 * torch.ones(3),)

    mine = Measurement("case", "feedbackward", error=0.1, eager=2.0, graph=1.0, copy=1.0)
    for build, alike, verdict, reason in (
        (missing, None, "UNMEASURED", "No module named 'peer'"),
        (twice, None, "UNMEASURED", "computes something else"),
        (twice, lambda outputs: [y / 2 for y in outputs], "met", ""),
        (ones, None, "met", ""),
    ):
        peer = Peer(build) if alike is None else Peer(build, alike)
        one = case("case", ones, peers={"peer": peer}, targets=[Target("peer", 3.0)])
        theirs = measure(one, "peer", CPU, True, lambda m: None)
        theirs.eager = theirs.eager and 8.0
        (found,) = verdicts([one], [mine, theirs])
        assert found.verdict == verdict
        assert reason in found.reason
        assert found.value == (4.0 if verdict == "met" else None)
        if verdict == "met":
            theirs.eager = 4.0
            assert next(verdicts([one], [mine, theirs])).verdict == "MISSED"


def test_a_copy_is_held_against_the_better_time():
    from broken_cases import case, ones

    from benchmarks.gpu_measure import Measurement
    from benchmarks.gpu_table import verdicts
    from benchmarks.gpu_work import COPY, Target

    one = case("case", ones, targets=[Target(COPY, 2.5)])
    for graph, error, verdict in ((2.0, 0.5, "met"), (3.0, 0.5, "MISSED"), (None, 0.5, "MISSED"), (2.0, 2.0, "WRONG")):
        mine = Measurement("case", "feedbackward", error=error, eager=4.0, graph=graph, copy=1.0)
        assert next(verdicts([one], [mine])).verdict == verdict


@pytest.fixture
def stand_in(monkeypatch):
    """A device for what is measured there: three milliseconds between two events, memory by a list of readings."""
    seen = SimpleNamespace(replays=0, memory=[], peak=[])

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            self.recorded = True

        def elapsed_time(self, end):
            assert self.recorded
            assert end.recorded
            return 3.0

    class Graph:
        def replay(self):
            seen.replays += 1

    stream = SimpleNamespace(wait_stream=lambda other: None)
    for name, value in {
        "synchronize": lambda device: None,
        "Event": Event,
        "CUDAGraph": Graph,
        "Stream": lambda device: stream,
        "current_stream": lambda device: stream,
        "stream": lambda given: contextlib.nullcontext(),
        "graph": lambda given: contextlib.nullcontext(),
        "memory_allocated": lambda device: seen.memory.pop(),
        "reset_peak_memory_stats": lambda device: None,
        "max_memory_allocated": lambda device: seen.peak.pop(),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    return seen


def test_what_is_measured_on_a_device(stand_in, monkeypatch):
    from benchmarks import gpu_measure

    monkeypatch.setattr(gpu_measure, "WARM", 0.0)
    device, calls = torch.device("cuda"), []

    def call():
        calls.append(1)
        return (torch.ones(250_000),)  # a megabyte

    assert gpu_measure.median_time(call, device) == 3.0
    assert len(calls) == gpu_measure.ROUNDS
    stand_in.memory, stand_in.peak = [2_000_000], [7_500_000]
    assert gpu_measure.extra_memory(call, device) == 4.5
    before = len(calls)
    assert gpu_measure.graph_time(call, device) == 3.0
    assert len(calls) == before + 2  # once outside of the graph, once inside
    assert stand_in.replays == gpu_measure.ROUNDS


def test_what_takes_long_is_called_less_often(stand_in, monkeypatch):
    from benchmarks import gpu_measure

    monkeypatch.setattr(gpu_measure, "WARM", 0.0)
    monkeypatch.setattr(gpu_measure, "ENOUGH", 0.004)
    calls = []
    gpu_measure.median_time(lambda: calls.append(1), torch.device("cuda"))
    assert len(calls) == 2


def test_what_was_known_of_a_process_that_ended_is_kept():
    from benchmarks.gpu_worker import Worker

    worker = Worker("broken_cases", "cpu", True)
    try:
        found = {name: worker.measure(name, "feedbackward", 5.0) for name in ("dies", "hangs", "raises", "good")}
    finally:
        worker.stop()
    assert found["dies"].trouble == "its process ended with 3"
    assert found["hangs"].trouble == "stopped after 5 s"
    assert found["hangs"].right
    assert found["hangs"].eager is None
    assert found["raises"].trouble == "RuntimeError: no such kernel"
    assert found["good"].right
    assert found["good"].eager > 0
