"""Importing the library costs nothing, says nothing and needs no framework."""

from __future__ import annotations

import subprocess
import sys

BLOCK_TORCH = "import sys; sys.modules['torch'] = None\n"


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, timeout=120)


def test_importing_loads_no_framework_and_nothing_heavy():
    result = run(
        "import sys, feedbackward; "
        "print(*{'torch', 'numpy', 'scipy', 'matplotlib', 'typer', 'rich', 'soundfile'} & set(sys.modules))"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


def test_importing_is_fast_and_silent():
    result = run(
        "import time; start = time.perf_counter(); import feedbackward; print(time.perf_counter() - start)",
        "-W",
        "error",
    )
    assert result.returncode == 0
    assert result.stderr == ""
    assert float(result.stdout) < 0.1  # a framework takes seconds, this package a few milliseconds


def test_using_everything_raises_no_warning():
    code = "import torch, feedbackward as fb; [getattr(fb, name) for name in dir(fb)]; fb.lfilter(*torch.ones(3, 1))"
    result = run(code, "-W", "error")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


def test_a_missing_torch_is_explained_when_it_is_called_for():
    result = run(BLOCK_TORCH + "import feedbackward as fb; print(fb.__version__, len(dir(fb))); fb.lfilter")
    assert result.returncode != 0
    assert result.stdout.split()
    sentence = result.stderr.strip().splitlines()[-1]
    assert sentence.startswith("ModuleNotFoundError: feedbackward.lfilter needs PyTorch")
    assert "pip install feedbackward[torch]" in sentence


def test_every_public_name_is_listed_and_found():
    code = """if True:
        import feedbackward as fb
        names = ['lfilter', 'sosfilt', 'filtfilt', 'sosfiltfilt', 'lfilter_zi', 'sosfilt_zi', 'lfiltic',
                 'linear_recurrence', 'design', 'nn', 'reference']
        missing = [name for name in names if name not in dir(fb) or not hasattr(fb, name)]
        from feedbackward import *
        print(missing, callable(lfilter), fb.lfilter is lfilter)
    """
    result = run(code)
    assert result.stdout.strip() == "[] True True", result.stderr


def test_an_unknown_name_is_an_attribute_error():
    result = run("import feedbackward as fb; print(hasattr(fb, 'no_such_filter')); fb.no_such_filter")
    assert result.stdout.strip() == "False"
    assert "AttributeError" in result.stderr
    assert "no_such_filter" in result.stderr
