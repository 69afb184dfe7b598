"""The cases of `benchmarks.gpu`, in the order in which they are measured."""

from __future__ import annotations

from .gpu_filters import FILTERS
from .gpu_scans import SCANS

CASES = (*FILTERS, *SCANS)
