"""Draw the picture of the README anew, from a recording of the examples: ``python docs/pictures/bank.py``."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPEECH = ROOT / "examples" / "recordings" / "arctic_a0007.wav"

if __name__ == "__main__":
    images = ROOT / "docs" / "images"
    images.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["feedbackward", "bank", SPEECH, "--filters", "128", "-o", folder], check=True)
        shutil.copy(Path(folder) / "bank.png", images)
