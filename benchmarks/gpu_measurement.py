"""What is known of a case by one of those who compute it. It needs no torch: it is what processes tell each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Measurement:
    """What is known of a case by one of those who compute it; times in milliseconds.

    Attributes:
        case: Its name.
        who: We, or a peer.
        error: Of the first call's outputs, in units of what is tolerated: above 1 they are wrong, and nothing is timed.
        first: Of the first call, which traces and compiles what is not in a cache on disk.
        eager: Of a call.
        graph: Of its replay from a CUDA graph.
        copy: Of a copy that reads and writes as many bytes as the case has to; with our measurements alone.
        extra: Megabytes of device memory at the peak of a call, beyond what was there before and what it returns.
        trouble: Why something is missing.
    """

    case: str
    who: str
    error: float | None = None
    first: float | None = None
    eager: float | None = None
    graph: float | None = None
    copy: float | None = None
    extra: float | None = None
    trouble: str = ""

    @property
    def right(self) -> bool:
        """Whether its numbers are known to be right."""
        return self.error is not None and self.error <= 1

    @property
    def best(self) -> float | None:
        """The shorter of both times."""
        return min((t for t in (self.eager, self.graph) if t is not None), default=None)
