"""What importing brings, what threads change, and the examples of the docstrings."""

from __future__ import annotations

import doctest
import importlib
import os
import subprocess
import sys

import pytest

import feedbackward.jax


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=environment)


def test_no_other_framework_is_imported() -> None:
    code = """if True:
        import sys
        import numpy as np
        import feedbackward.jax as fj
        x = np.ones((2, 9), np.float32)
        fj.lfilter(x[0, :3], x[0, :2], x), fj.sosfilt(np.ones((1, 6), np.float32), x), fj.linear_recurrence(0.5, x)
        fj.band_matmul(x, x[:1], 0, 0)
        fj.band_rnn(x, np.ones((4, 9), np.float32), np.ones((3, 4), np.float32), lower=1)
        print(*{"torch", "tensorflow", "keras"} & set(sys.modules), len(fj.__all__))
    """
    result = run(code)
    assert result.stdout.split() == ["5"], result.stderr


def test_a_missing_jax_is_explained() -> None:
    result = run("import sys; sys.modules['jax'] = None; import feedbackward.jax")
    assert result.returncode != 0
    sentence = result.stderr.strip().splitlines()[-1]
    assert sentence.startswith("ModuleNotFoundError: feedbackward.jax needs JAX, which is not installed")
    assert "pip install feedbackward[jax]" in sentence


def test_an_old_jax_is_refused_with_a_sentence() -> None:
    result = run("import jax; jax.__version_info__, jax.__version__ = (0, 6, 2), '0.6.2'; import feedbackward.jax")
    sentence = result.stderr.strip().splitlines()[-1]
    assert sentence == "ImportError: feedbackward.jax needs JAX 0.7 or newer, this is 0.6.2: pip install -U jax"


def test_the_number_of_threads_changes_no_bit() -> None:
    code = """if True:
        import hashlib, os
        os.sched_setaffinity(0, set(list(os.sched_getaffinity(0))[: int(os.environ["CORES"])]))
        import jax, numpy as np
        import feedbackward.jax as fj
        rng = np.random.default_rng(0)
        b, a, x = (rng.normal(size=s).astype(np.float32) for s in ((40, 3), (40, 3), (5, 1, 3000)))
        a = a * 0.1 + np.array([1, 0, 0], np.float32)
        f = lambda b, a, x: fj.lfilter(b, a, x).sum()
        found = [fj.lfilter(b, a, x), *jax.grad(f, argnums=(0, 1, 2))(b, a, x)]
        w = [rng.normal(size=s).astype(np.float32) * 0.2 for s in ((60, 24, 7), (90, 7), (9, 90))]
        g = lambda *w: fj.band_rnn(*w, lower=4)[0].sum()
        found += [fj.band_rnn(*w, lower=4)[0], jax.grad(g, argnums=2)(*w)]
        h = hashlib.sha256()
        for y in found:
            h.update(np.asarray(y).tobytes())
        print(h.hexdigest())
    """
    results = {run(code, CORES=cores).stdout for cores in ("1", "64")}
    assert len(results) == 1
    assert len(results.pop().strip()) == 64


def test_many_calls_at_once() -> None:
    """From threads of Python, so that the pool serves several calls."""
    code = """if True:
        from concurrent.futures import ThreadPoolExecutor
        import jax, numpy as np
        import feedbackward.jax as fj
        x = np.random.default_rng(0).normal(size=(64, 5000)).astype(np.float32)
        b, a = np.ones(3, np.float32), np.array([1, 0.1, 0.2], np.float32)
        expected = np.asarray(fj.lfilter(b, a, x))
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: np.asarray(fj.lfilter(b, a, x)), range(64)))
        print(all((y == expected).all() for y in found))
    """
    result = run(code)
    assert result.stdout.split() == ["True"], result.stderr


@pytest.mark.parametrize("name", ["filters", "band"])
def test_examples_of_the_docstrings(name: str) -> None:
    import jax

    jax.config.update("jax_enable_x64", False)
    result = doctest.testmod(importlib.import_module(f"feedbackward.jax.{name}"))
    assert result.attempted > 3
    assert result.failed == 0


def test_every_public_function_has_an_example() -> None:
    for name in feedbackward.jax.__all__:
        text = getattr(feedbackward.jax, name).__doc__
        assert all(part in text for part in (">>> ", "Args:", "Returns:", "Raises:", "Source:")), name
