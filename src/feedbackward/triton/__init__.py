"""The operators on GPUs: kernels in Triton for CUDA tensors.

Nothing here is imported before the first CUDA tensor comes: `feedbackward.ops.device` registers, for every operator of
the compiled library, a stub that imports its launcher from here. Shapes, derivatives and transforms are those of the
operator; a launcher takes what the operator takes, and computes what the CPU kernel computes.

- ``kernels/``: device code alone, one idea a file. A lane, or a segment of one, is a thread; it walks through time with
  its state in registers.
- The modules beside it allocate, cut the work and launch. No decision rests on values, so nothing waits for the device
  and a CUDA graph can capture every call.
"""

from __future__ import annotations
