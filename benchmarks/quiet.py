"""Waiting for the rest of the machine: a round is timed when nothing else runs, or when patience ends."""

from __future__ import annotations

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")
LONGEST = 10.0  # seconds that one round waits at most
LOOK, BUSY = 0.2, 0.15  # seconds of one look, and the busy share of one core above which the machine is not quiet


class Quiet:
    """Counts the rounds that began on a quiet machine and those that did not.

    ``patience`` is how many seconds all rounds together wait in vain; 0 never looks. Where the system does not tell how
    busy it is (it needs Linux's /proc/stat), no round waits and none is counted.
    """

    def __init__(self, patience: float) -> None:
        self.patience = self.left = patience if STAT.exists() else 0.0
        self.quiet = self.disturbed = 0

    def wait(self) -> None:
        """Return when the machine is quiet, or when patience ends."""
        if not self.patience:
            return
        waited = 0.0
        while True:
            before = _busy()
            time.sleep(LOOK)
            if _busy() - before < BUSY * LOOK:
                self.quiet += 1
                return
            waited += LOOK
            self.left -= LOOK
            if waited >= LONGEST or self.left <= 0:
                self.disturbed += 1
                return


def _busy() -> float:
    """Seconds that all cores together have been busy since the system started; the clock ticks in hundredths."""
    fields = [int(field) for field in STAT.read_text().split("\n", 1)[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")
