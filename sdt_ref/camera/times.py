"""The unit of times: what their name says, else microseconds if they are whole numbers, else seconds.

Source: spikingjelly 0.0.0.0.12 and tonic 1.7 write whole microseconds; the Event Camera Dataset (Mueggler et al., 2017)
writes seconds with fractions. Frames by number do not read times, and those by time only compare them, so that a unit
changes no frame by more than what it rounds.
"""

import numpy as np

from ..errors import RecordingError

PER_UNIT = {"s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}  # microseconds, as a fraction
IN_WORDS = {"s": "seconds", "ms": "milliseconds", "ns": "nanoseconds"}
SHORTEST = 1_000  # microseconds; a recording of whole floats below may be of seconds or milliseconds
LONGEST = 3_600  # seconds; a recording of fractions beyond may be of milliseconds or microseconds


def unit_of_floats(least: float, greatest: float, whole: bool) -> str:
    """Tell the unit of times that are floats and whose name does not tell.

    Raises RecordingError where both could be.
    """
    span = greatest - least
    if whole and span >= SHORTEST:
        return "us"
    if not whole and span <= LONGEST:
        return "s"
    kind = "without fractions" if whole else "with fractions"
    raise RecordingError(
        f"expected times whose unit is clear, found floats {kind} from {least:.15g} to {greatest:.15g}; write whole "
        "microseconds as integers, or name the unit: t_us, t_s"
    )


def microseconds(t: np.ndarray, unit: str) -> np.ndarray:
    """Times of a unit -> int64 microseconds: nanoseconds are rounded down, other fractions to the nearest."""
    numerator, denominator = PER_UNIT[unit]
    if t.dtype.kind == "f":
        return np.rint(t * numerator).astype(np.int64) // denominator
    return t.astype(np.int64, copy=False) * numerator // denominator
