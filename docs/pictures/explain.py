"""Draw the README's picture of a GRU anew, with chromium: ``python docs/pictures/explain.py``."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

IMAGE = Path(__file__).resolve().parents[1] / "images" / "explain.png"
LAYER = ["--layer", "gru", "--hidden", "8", "--layers", "2", "--length", "16"]

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        subprocess.run(["feedbackward", "explain", *LAYER, "-o", page], check=True)
        browser = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1140,1128"]
        subprocess.run([*browser, f"--screenshot={IMAGE}", f"{page.as_uri()}#step=10"], check=True)
