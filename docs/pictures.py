"""Draw the pictures of the README anew, with a browser for the second one: ``python docs/pictures.py``."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SPEECH = ROOT / "examples" / "recordings" / "arctic_a0007.wav"

if __name__ == "__main__":
    images = ROOT / "docs" / "images"
    images.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["feedbackward", "bank", SPEECH, "--filters", "128", "-o", folder], check=True)
        shutil.copy(Path(folder) / "bank.png", images)
        page = Path(folder) / "page.html"
        layer = ["--layer", "gru", "--hidden", "8", "--layers", "2", "--length", "16"]
        subprocess.run(["feedbackward", "explain", *layer, "-o", page], check=True)
        size = ["--window-size=1100,1128", "--hide-scrollbars"]
        picture = f"--screenshot={images / 'explain.png'}"
        browser = ["chromium", "--headless", "--no-sandbox", *size, picture]
        subprocess.run([*browser, f"{page.as_uri()}#step=10"], check=True)
