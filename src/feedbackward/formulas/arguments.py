"""What filters of every framework ask of their numbers."""

from __future__ import annotations

from typing import Any


def check_count(name: str, argument: str, value: Any, least: int) -> None:
    """Raise unless value is an integer of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}: {argument} is a {type(value).__name__}, expected an integer")
    if value < least:
        raise ValueError(f"{name}: {argument} is {value}, expected at least {least}")


def check_max_radius(function: str, max_radius: float) -> None:
    """Raise ValueError unless max_radius is in (0, 1]."""
    if not 0 < max_radius <= 1:
        raise ValueError(f"{function}: max_radius is {max_radius:g}, expected a number above 0 and at most 1")
