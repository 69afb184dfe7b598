"""What importing brings, what is said where something is missing, and the examples of the docstrings."""

from __future__ import annotations

import doctest
import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import feedbackward.keras

BACKEND = keras.backend.backend()


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **variables}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=environment)


def test_no_other_framework_is_imported() -> None:
    """But what Keras itself imports, which on PyTorch is JAX where that is installed."""
    code = """if True:
        import sys
        import keras
        before = set(sys.modules)
        import feedbackward as fb, feedbackward.keras as fbk
        x = keras.random.normal((2, 5, 3))
        for layer in (fbk.BandRNN(4, 1), fbk.GRU(4, structure=fb.BlockDiagonal(2)), fbk.LSTM(4), fbk.RNN(4)):
            layer(x)
        fbk.copy_weights(layer, {})
        print("found", *{"torch", "jax", "tensorflow"} & (set(sys.modules) - before) - {keras.backend.backend()})
    """
    result = run(code)
    assert result.stdout.split() == ["found"], result.stderr


@pytest.mark.parametrize(
    ("code", "variables", "message"),
    [
        ("sys.modules['keras'] = None", {}, "ModuleNotFoundError: feedbackward.keras needs Keras 3, which is not"),
        (
            "sys.modules['torch'] = None",
            {"KERAS_BACKEND": "torch"},
            "ModuleNotFoundError: feedbackward.keras: Keras's backend is 'torch', but torch is not installed",
        ),
        (
            "import types; sys.modules['keras'] = types.SimpleNamespace(__version__='2.15.0')",
            {},
            "ImportError: feedbackward.keras needs Keras 3.5 or newer, this is 2.15.0: pip install -U keras",
        ),
    ],
)
def test_what_is_missing_is_explained(code: str, variables: dict[str, str], message: str) -> None:
    result = run(f"import sys; {code}; import feedbackward.keras", **variables)
    assert result.returncode != 0
    assert result.stderr.strip().splitlines()[-1].startswith(message)


def test_a_saved_model_needs_the_import_alone(tmp_path: Path) -> None:
    layer = feedbackward.keras.BandRNN(4, 1)
    keras.Sequential([keras.Input((5, 3)), layer]).save(tmp_path / "model.keras")
    code = "import sys, keras, feedbackward.keras; print(keras.saving.load_model(sys.argv[-1]).layers[0].band_width)"
    result = run(code.replace("sys.argv[-1]", repr(str(tmp_path / "model.keras"))))
    assert result.stdout.split("\n")[-2:] == ["(1, 1)", ""], result.stderr


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
def test_other_devices_are_refused() -> None:
    import torch

    layer = feedbackward.keras.BandRNN(4, 1)
    layer.build((2, 5, 3))
    # A tensor that says where it is, for there need not be such a device.
    tensors = [w.value for w in (layer.cell.recurrent_kernel,)] + [torch.zeros(2, 5, 4), _Elsewhere((2, 4))]
    sentence = "BandRNN: a tensor is on xpu, but this version computes on CPU and CUDA"
    with pytest.raises(NotImplementedError, match=sentence):
        feedbackward.keras.backend.run("BandRNN", layer.cell.program(dropped=False, masked=False), tensors)


class _Elsewhere:
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.device = type("Device", (), {"type": "xpu"})()


MODULES = sorted(path.stem for path in Path(feedbackward.keras.__file__).parent.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(
        importlib.import_module(f"feedbackward.keras.{name}"),
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
    )
    assert result.failed == 0


@pytest.mark.parametrize("name", feedbackward.keras.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    public = getattr(feedbackward.keras, name)
    for part in (">>> ", "Args:", "Raises:"):
        assert part in public.__doc__
    arguments = list(inspect.signature(public.__init__ if inspect.isclass(public) else public).parameters)
    lines = inspect.cleandoc(public.__doc__).split("Args:\n")[1].split("\n\n")[0].splitlines()
    documented = [line.split(":")[0].strip(" *") for line in lines if not line.startswith("     ")]
    assert [a for a in arguments if a != "self"] == documented


def test_layers_and_cells_have_the_arguments_of_keras() -> None:
    """In Keras's order and with its defaults; ours come after them."""
    pairs = {"RNN": "SimpleRNN", "GRU": "GRU", "LSTM": "LSTM"}
    for ours, theirs in [(a + end, b + end) for a, b in pairs.items() for end in ("", "Cell")]:
        given = inspect.signature(getattr(keras.layers, theirs)).parameters
        found = inspect.signature(getattr(feedbackward.keras, ours)).parameters
        expected = [(p.name, p.default) for p in given.values() if p.name not in ("kwargs", "use_cudnn")]
        assert [(p.name, p.default) for p in found.values()][: len(expected)] == expected
        assert [name for name in found if name not in given] == ["structure"]
