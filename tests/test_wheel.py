"""The package as it is shipped: what the wheel holds, and what it requires."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "feedbackward"
EXTRAS = {"torch", "jax", "keras", "tensorflow", "audio", "plot", "explain", "cli", "bench", "docs", "dev"}
LIBRARIES = {f"feedbackward/lib/feedbackward_{framework}.so" for framework in ("torch", "jax", "tensorflow")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this checkout. Its C++ is compiled already when the package is installed from here."""
    if not PACKAGE.exists():
        pytest.skip("the suite runs against an installed wheel: there are no sources to build another from")
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", folder, ROOT], check=True, timeout=600)
    return zipfile.ZipFile(next(folder.iterdir()))


def read(wheel: zipfile.ZipFile, name: str) -> Message:
    """A file of the wheel's dist-info that is written as headers."""
    path = next(path for path in wheel.namelist() if path.endswith(f".dist-info/{name}"))
    return Parser().parsestr(wheel.read(path).decode())


def test_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    files = {path for path in wheel.namelist() if not path.endswith("/")}
    info = f"feedbackward-{read(wheel, 'METADATA')['Version']}.dist-info"
    described = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    sources = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files == sources | described | LIBRARIES


def test_one_wheel_serves_every_python(wheel: zipfile.ZipFile) -> None:
    assert read(wheel, "WHEEL")["Tag"].startswith("py3-none-")
    for library in LIBRARIES:
        assert b"PyObject" not in wheel.read(library)


def requirements() -> list[Requirement]:
    return [Requirement(line) for line in metadata.requires("feedbackward") or []]


def test_only_numpy_is_required() -> None:
    assert {r.name for r in requirements() if r.marker is None} == {"numpy"}


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_only_the_torch_extra_names_torch(extra: str) -> None:
    names = {r.name for r in requirements() if r.marker is not None and r.marker.evaluate({"extra": extra})}
    assert any(name.startswith("torch") for name in names) == (extra == "torch")


def test_extras() -> None:
    assert set(metadata.metadata("feedbackward").get_all("Provides-Extra") or []) == EXTRAS
