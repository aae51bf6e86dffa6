"""What files call their columns: one is times, two are pixels, one is polarities; a name may end in a unit of time."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import RecordingError, shown

NAMES = {
    "t": {"t", "ts", "time", "times", "timestamp", "timestamps", "time_stamp", "time_stamps"},
    "x": {"x", "xs"},
    "y": {"y", "ys"},
    "p": {"p", "ps", "pol", "pols", "polarity", "polarities", "on"},
}
UNITS = {
    "s": {"s", "sec", "secs", "second", "seconds"},
    "ms": {"ms", "msec", "msecs", "millisecond", "milliseconds"},
    "us": {"us", "\N{GREEK SMALL LETTER MU}s", "usec", "usecs", "microsecond", "microseconds"},
    "ns": {"ns", "nsec", "nsecs", "nanosecond", "nanoseconds"},
}


@dataclass(frozen=True)
class Named:
    """Which of a file's names are t, x, y and p.

    Attributes
    ----------
    columns : the four names, as the file has them
    unit : 's', 'ms', 'us' or 'ns', as the name of the times says; None where it does not
    """

    columns: tuple[str, str, str, str]
    unit: str | None


def find_columns(names: Iterable[str]) -> Named | None:
    """Find the names of t, x, y and p, in any order and among others; None where one of the four is missing.

    Names in full ('t', not 'ts') are preferred. Raises RecordingError when several others could be the same column.
    """
    names, columns = list(names), []
    for column in NAMES:
        fitting = [name for name in names if _meaning(name)[0] == column]
        fitting = [name for name in fitting if name == column] or fitting
        if not fitting:
            return None
        if len(fitting) > 1:
            raise RecordingError(f"expected one column of {column}, found {' and '.join(map(shown, fitting[:4]))}")
        columns.append(fitting[0])
    t, x, y, p = columns
    return Named((t, x, y, p), _meaning(t)[1])


def _meaning(name: str) -> tuple[str | None, str | None]:
    """The column that a name stands for, and the unit that it ends in: 'Timestamp [us]' -> 't', 'us'."""
    plain = re.sub(r"[\W_]+", "_", name.casefold()).strip("_")
    base, _, ending = plain.rpartition("_")
    for unit, written in UNITS.items():
        if ending in written and base in NAMES["t"]:
            return "t", unit
    return next((column for column, written in NAMES.items() if plain in written), None), None
