"""Scan under every instruction set, each in a process of its own."""

from __future__ import annotations

import pytest
from isolated import run_battery

pytestmark = pytest.mark.cpu


def test_each_instruction_set(instruction_set):
    run_battery("scan_battery.py", instruction_set, 2)


def test_any_number_of_threads_computes_the_same_bits():
    assert run_battery("scan_battery.py", "baseline", 1) == run_battery("scan_battery.py", "baseline", 2)
