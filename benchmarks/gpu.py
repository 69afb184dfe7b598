"""The benchmarks of the GPU: ``python -m benchmarks.gpu [--only CASE ...] [--minutes N] [--json FILE]``.

Everybody, we and every peer, is held against the same outputs in float64 before being timed; a peer whose numbers are
others is no peer. First come our measurements of all cases, then the peers, the same cases again, until the minutes are
over; what is known is printed and written to the file as it comes, and at the end stands a verdict on every target.

Compilation is part of the first call alone and is shown apart. Both compilers, ours and that of the peers, begin with
an empty cache, so that it is all there.

Without a GPU it says so and exits with 1; ``--rehearse`` goes through all of it at tiny sizes instead, our kernels in
Triton's interpreter on a pretended GPU, as the tests have it, and the peers on the CPU.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":  # a process that measures imports this module too, and wants no torch from it
    from .gpu_run import main

    sys.exit(main())
