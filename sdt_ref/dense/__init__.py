"""The oracle: the same network in plain NumPy on dense 0/1 tensors, written to be checked by reading.

It shares with the engine the folded parameters, the number formats and the check of the input, and nothing else: no
kernel, no event list, no stage. Tensors have the official axes, [T, B, C, H, W]. Sums of real numbers are loops over
inputs in the canonical order, so that their results are the engine's, bit for bit: no `@`, `einsum` or `np.sum`, whose
order is the library's own.
"""

from .forward import forward
from .neuron import step, steps

__all__ = ["forward", "step", "steps"]
