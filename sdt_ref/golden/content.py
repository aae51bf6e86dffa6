"""What the arrays of a record are: events as 0 and 1, and whether a file contradicts itself under a fitting hash."""

from collections.abc import Sequence

import numpy as np

from ..fixed.registers import WIDE
from ..weights.arithmetic import FIXED, Arithmetic


def dense(offsets: np.ndarray, channels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Events as 0 and 1, int64[steps, tokens, channels]."""
    rows = np.zeros((shape[0] * shape[1], shape[2]), WIDE)
    rows[np.repeat(np.arange(len(rows)), np.diff(offsets)), channels] = 1
    return rows.reshape(shape)


def are_events(arrays: Sequence[np.ndarray], shape: tuple[int, int, int]) -> bool:
    """Whether offsets and channels are events of [steps, tokens, channels]."""
    offsets, channels = arrays
    if not {offsets.dtype.kind, channels.dtype.kind} <= set("iu") or offsets.shape != (shape[0] * shape[1] + 1,):
        return False
    if offsets[0] != 0 or (np.diff(offsets.astype(WIDE)) < 0).any() or channels.shape != (offsets[-1],):
        return False
    return bool(((channels >= 0) & (channels < shape[2])).all())


def are_numbers(array: np.ndarray, shape: tuple[int, int, int], arithmetic: Arithmetic) -> bool:
    """Whether an array is of this shape, and of the type that an arithmetic records."""
    whole = array.dtype.kind in "iu"
    right = whole if arithmetic is FIXED else array.dtype.newbyteorder("=") == arithmetic.dtype
    return right and array.shape == shape
