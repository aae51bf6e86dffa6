"""Numba kernels: plain arrays in and out; the caller allocates and validates; nothing here raises.

Events come as `offsets` and `channels`: row r (one token at one time step) spikes on the channels
`channels[offsets[r]:offsets[r + 1]]`, ascending. Currents are `[T, n, C]`, C-contiguous, for n positions of one tile.
Bodies index base arrays instead of slicing, because a slice costs a reference count in compiled code.
"""

from .accumulate import conv3x3, linear
from .analog import conv3x3_analog, max_pool3x3
from .attention import intersect, spread_tokens, sum_tokens
from .fire import fire
from .pooling import pool3x3

__all__ = [
    "conv3x3",
    "conv3x3_analog",
    "fire",
    "intersect",
    "linear",
    "max_pool3x3",
    "pool3x3",
    "spread_tokens",
    "sum_tokens",
]
