"""What importing brings, what threads change, and the examples of the docstrings."""

from __future__ import annotations

import doctest
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import feedbackward.tensorflow


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **variables}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=environment)


def test_no_other_framework_is_imported() -> None:
    code = """if True:
        import sys
        import numpy as np
        import feedbackward.tensorflow as fbt
        x = np.ones((2, 9), np.float32)
        fbt.lfilter(x[0, :3], x[0, :2], x), fbt.sosfilt(np.ones((1, 6), np.float32), x), fbt.linear_recurrence(0.5, x)
        fbt.band_matmul(x, x[:1], 0, 0)
        fbt.band_rnn(x, np.ones((4, 9), np.float32), np.ones((3, 4), np.float32), lower=1)
        print(*{"torch", "jax", "jaxlib"} & set(sys.modules), len(fbt.__all__))
    """
    result = run(code)
    assert result.stdout.split() == ["5"], result.stderr


def test_a_missing_tensorflow_is_explained() -> None:
    result = run("import sys; sys.modules['tensorflow'] = None; import feedbackward.tensorflow")
    assert result.returncode != 0
    sentence = result.stderr.strip().splitlines()[-1]
    assert sentence.startswith("ModuleNotFoundError: feedbackward.tensorflow needs TensorFlow, which is not installed")
    assert "pip install feedbackward[tensorflow]" in sentence


@pytest.mark.parametrize("instruction_set", ["", "baseline"])
def test_the_number_of_threads_changes_no_bit(instruction_set: str) -> None:
    code = """if True:
        import hashlib, os
        import numpy as np, tensorflow as tf
        tf.config.threading.set_intra_op_parallelism_threads(int(os.environ["THREADS"]))
        import feedbackward.tensorflow as fbt
        rng = np.random.default_rng(0)
        shapes = (40, 3), (40, 3), (5, 1, 3000), (60, 24, 7), (90, 7), (9, 90)
        b, a, x, *w = (tf.constant(0.2 * rng.normal(size=s).astype(np.float32)) for s in shapes)
        a = 0.1 * a + tf.constant([1.0, 0.0, 0.0])
        with tf.GradientTape() as tape:
            tape.watch([b, a, x, *w])
            found = [fbt.lfilter(b, a, x), fbt.band_rnn(*w, lower=4)[0]]
        found += tape.gradient(found, [b, a, x, w[2]])  # weight_ih's is a product of TensorFlow's
        h = hashlib.sha256()
        for y in found:
            h.update(y.numpy().tobytes())
        print(h.hexdigest())
    """
    results = {run(code, THREADS=threads, FEEDBACKWARD_ISA=instruction_set).stdout for threads in ("1", "2", "7")}
    assert len(results) == 1, results
    assert len(results.pop().split()[0]) == 64


def test_threads_are_as_many_as_tensorflow_was_given() -> None:
    """The pool has a thread less than work on a call, for the caller works too."""
    code = """if True:
        import os
        import numpy as np, tensorflow as tf
        tf.config.threading.set_intra_op_parallelism_threads(6)
        import feedbackward.tensorflow as fbt
        b, a, x = np.ones((64, 3), np.float32), np.float32([1, 0.1, 0]), np.ones((64, 1, 4000), np.float32)
        tf.ones([1000, 1000]) @ tf.ones([1000, 1000])
        fbt.linear_recurrence(0.5, x[0])
        before = len(os.listdir("/proc/self/task"))
        fbt.lfilter(b, a, x)
        print(len(os.listdir("/proc/self/task")) - before)
    """
    result = run(code)
    assert result.stdout.split() == ["5"], result.stderr


def test_many_calls_at_once() -> None:
    """From threads of Python, so that the pool serves several calls."""
    code = """if True:
        from concurrent.futures import ThreadPoolExecutor
        import numpy as np, tensorflow as tf
        import feedbackward.tensorflow as fbt
        x = tf.constant(np.random.default_rng(0).normal(size=(64, 5000)).astype(np.float32))
        b, a = tf.ones(3), tf.constant([1, 0.1, 0.2])
        fbt.ops.library.use_threads(4)
        expected = fbt.lfilter(b, a, x).numpy()
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: fbt.lfilter(b, a, x).numpy(), range(64)))
        print(all((y == expected).all() for y in found))
    """
    result = run(code)
    assert result.stdout.split() == ["True"], result.stderr


@pytest.mark.parametrize("name", ["", *(f".{name}" for name in feedbackward.tensorflow.__all__)])
def test_examples_of_the_docstrings(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"feedbackward.tensorflow{name}"))
    assert result.attempted >= 3
    assert result.failed == 0


def test_every_public_function_has_an_example() -> None:
    for name in feedbackward.tensorflow.__all__:
        text = getattr(feedbackward.tensorflow, name).__doc__
        assert all(part in text for part in (">>> ", "Args:", "Returns:", "Raises:", "Source:")), name


def test_declarations_are_those_of_tensorflow(tmp_path: Path) -> None:
    """The header that we write out agrees with the one of the TensorFlow that is installed, where a compiler tells."""
    import shutil

    import tensorflow as tf

    header = Path(__file__).parents[2] / "bindings" / "tensorflow_api.h"
    compiler = shutil.which("c++")
    if not header.exists() or compiler is None:
        pytest.skip("there are no sources, or no compiler")
    ours = "\n".join(line for line in header.read_text().splitlines() if not line.startswith("typedef "))
    source = tmp_path / "both.cpp"
    theirs = "".join(f'#include "tensorflow/c/{name}.h"\n' for name in ("ops", "kernels", "tf_tensor", "tf_status"))
    source.write_text(f"{theirs}{ours.replace('#pragma once', '')}")
    command = [compiler, "-std=c++17", "-fsyntax-only", f"-I{tf.sysconfig.get_include()}", str(source)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
