"""What the arrays of a record are: events as 0 and 1, and whether a file contradicts itself under a fitting hash."""

from collections.abc import Sequence

import numpy as np

from ..errors import TraceError
from ..fixed.registers import WIDE
from ..weights.arithmetic import FIXED, Arithmetic
from .records import Record


def dense(offsets: np.ndarray, channels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Events as 0 and 1, int64[steps, tokens, channels]."""
    rows = np.zeros((shape[0] * shape[1], shape[2]), WIDE)
    rows[np.repeat(np.arange(len(rows)), np.diff(offsets)), channels] = 1
    return rows.reshape(shape)


def are_events(arrays: Sequence[np.ndarray], shape: tuple[int, int, int]) -> bool:
    """Whether offsets and channels are events of [steps, tokens, channels], in canonical order."""
    offsets, channels = arrays
    if not {offsets.dtype.kind, channels.dtype.kind} <= set("iu") or offsets.shape != (shape[0] * shape[1] + 1,):
        return False
    at = offsets.astype(WIDE)
    if at[0] != 0 or (np.diff(at) < 0).any() or channels.shape != (at[-1],):
        return False
    if not ((channels >= 0) & (channels < shape[2])).all():
        return False
    rising = np.diff(channels.astype(np.int32)) > 0
    rising[at[(at > 0) & (at < len(channels))] - 1] = True  # from one row to the next they may fall
    return bool(rising.all())


def are_numbers(array: np.ndarray, shape: tuple[int, int, int], arithmetic: Arithmetic) -> bool:
    """Whether an array is of this shape, and of the type that an arithmetic records."""
    whole = array.dtype.kind in "iu"
    right = whole if arithmetic is FIXED else array.dtype.newbyteorder("=") == arithmetic.dtype
    return right and array.shape == shape


def require_within(record: Record, values: np.ndarray) -> None:
    """Raise TraceError unless whole numbers fit the register that they were in."""
    (low, high), found = record.limits, [int(values.min()), int(values.max())]
    wrong = [number for number in found if not low <= number <= high]
    if wrong:
        raise TraceError(
            f"record '{record.name}': expected {low} to {high}, which {record.bits} bits hold, found {wrong[0]}; "
            "record the run again"
        )
