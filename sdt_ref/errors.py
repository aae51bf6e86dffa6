"""The errors that a user can cause; each message names what was wrong, expected, found, and what to do.

What stands in a message may come from anybody's file: a message is one line of printable characters, of bounded length,
and a value is put into it by `shown`.
"""

import re
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

LONGEST = 1000  # characters of a message
LONGEST_VALUE = 80  # and of a value in it
LONGEST_REASON = 200  # and of what another library says
MOST_BITS, MOST_ITEMS, MOST_LEVELS = 128, 8, 2  # of a number, of a list, and of lists in lists, that are written out
CONTROLS = re.compile(r"[\t\n\v\f\r]+")


class SdtError(ValueError):
    """Base class of every error that a user can cause."""

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message))


class WeightsError(SdtError):
    """A weights file or checkpoint that cannot be read, or that is not this network."""


class ConfigError(SdtError):
    """A setting that is missing, unknown or out of range."""


class ImageError(SdtError):
    """A picture or a data set of pictures that cannot be read."""


class RecordingError(SdtError):
    """A recording of an event camera, or a data set of them, that cannot be read."""


class InputError(SdtError):
    """An array that the network cannot take: rank, channels, size, type or values."""


class FormatError(SdtError):
    """A fixed-point format that is unknown, out of range, or does not hold what it must."""


class TraceError(SdtError):
    """A trace or a dump that cannot be read, is not complete, or is of another run."""


class EventsError(SdtError):
    """An event list that is not canonical."""


class UnknownNameError(SdtError, KeyError):
    """A name that a table of a result does not have."""

    def __str__(self) -> str:
        """The message, which a KeyError would show as a quoted string."""
        return str(self.args[0])


class Foreign:
    """Stands for a value of a file that is never made; its `repr` is short, and `shown` writes it."""

    __slots__ = ()


def one_line(text: str, longest: int = LONGEST) -> str:
    """A text as one line for a terminal: what is not printable is written as in Python, and what is too long is cut."""
    text = text[: 2 * longest]
    if not text.isprintable():
        text = spelled(CONTROLS.sub(" ", text))
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def spelled(text: str, keep: str = "") -> str:
    """A text in which what is not printable is written as in Python, such as \\x1b; `keep` stays as it is."""
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def shown(value: Any, longest: int = LONGEST_VALUE) -> str:
    """What a foreign value is, in one short line: written as in Python if it is short, else cut, or told in words."""
    return one_line(_written(value, longest, MOST_LEVELS), longest)


def reason_of(error: Exception) -> str:
    """What an exception of another library says, in its first line; its type where it says nothing."""
    return one_line(str(error).partition("\n")[0], LONGEST_REASON) or type(error).__name__


def is_nested(value: Any, levels: int) -> bool:
    """Whether lists lie in lists, by their first items, beyond so many levels: NumPy would walk through all of them."""
    for _ in range(levels + 1):
        if not isinstance(value, (list, tuple)) or not value:
            return False
        value = value[0]
    return True


def _written(value: Any, longest: int, levels: int) -> str:
    if isinstance(value, (str, bytes)):
        return repr(value[:longest]) + "..." * (len(value) > longest)
    if type(value).__module__ in ("numpy", "numpy.dtypes"):  # first: some are Python's floats, too
        return _written_numpy(value, longest, levels)
    if isinstance(value, int) and value.bit_length() > MOST_BITS:  # Python refuses to write numbers of 4300 digits
        return f"a whole number of {value.bit_length()} bits"
    if value is None or isinstance(value, (bool, int, float, complex)):
        return repr(value)
    if isinstance(value, Foreign):
        return repr(value)
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return _written_items(value, longest, levels)
    return f"a value of type {type(value).__name__}"


def _written_numpy(value: Any, longest: int, levels: int) -> str:
    if type(value).__module__ == "numpy.dtypes":
        return str(value)
    if not hasattr(value, "dtype") or isinstance(value, type):
        return f"a value of type {type(value).__name__}"
    if value.shape:
        return f"an array of {value.dtype} of shape {_written(value.shape, longest, 1)}"
    if value.dtype.kind not in "biufcSU":
        return str(value.dtype)
    item = value.item()  # of a number that Python has no type for, such as longdouble, the same again
    return str(value) if type(item) is type(value) else _written(item, longest, levels)


def _written_items(value: Collection[Any], longest: int, levels: int) -> str:
    begin, end = ("(", ")") if isinstance(value, tuple) else ("[", "]") if isinstance(value, list) else ("{", "}")
    if not levels:
        return f"{begin}...{end}" if value else f"{begin}{end}"
    if isinstance(value, Mapping):
        parts = [
            f"{_written(key, longest, levels - 1)}: {_written(item, longest, levels - 1)}"
            for key, item in islice(value.items(), MOST_ITEMS)
        ]
    else:
        parts = [_written(item, longest, levels - 1) for item in islice(value, MOST_ITEMS)]
    more = ", ..." if len(value) > MOST_ITEMS else "," if isinstance(value, tuple) and len(value) == 1 else ""
    return f"{begin}{', '.join(parts)}{more}{end}"
