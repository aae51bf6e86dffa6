"""Numba kernels: plain arrays in and out; the caller allocates and validates; nothing here raises.

Events come as `offsets` and `channels`: row r (one token at one time step) spikes on the channels
`channels[offsets[r]:offsets[r + 1]]`, ascending. Currents are `[P, T, n, PANEL]`, C-contiguous, for n
positions: channel c stands in panel c // PANEL, and the last panel is padded with zeros.
Bodies index base arrays instead of slicing, because a slice costs a reference count in compiled code.
"""

from .accumulate import add_rows
from .analog import conv3x3_analog, max_pool3x3
from .attention import intersect, spread_tokens, sum_tokens
from .bitset import SLACK
from .fixed import STEPS, add_rows_checked, lif_steps_fixed, requantise
from .lif import lif_steps, list_events
from .pooling import pool3x3
from .vector import PANEL, aligned

__all__ = [
    "PANEL",
    "SLACK",
    "STEPS",
    "add_rows",
    "add_rows_checked",
    "aligned",
    "conv3x3_analog",
    "intersect",
    "lif_steps",
    "lif_steps_fixed",
    "list_events",
    "max_pool3x3",
    "pool3x3",
    "requantise",
    "spread_tokens",
    "sum_tokens",
]
