"""The errors that a user can cause; each message names what was wrong, expected, found, and what to do."""

import re
from pathlib import Path

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # as a Path has it, which keeps one slash; a drive is one letter


class SdtError(ValueError):
    """Base class of every error that a user can cause."""


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


def require_file(path: Path, what: str, error: type[SdtError]) -> None:
    """Raise `error` unless the path is a file that can be looked at."""
    try:
        found = "a folder" if path.is_dir() else None if path.exists() else "nothing"
    except (OSError, ValueError) as reason:  # a name too long, a folder that may not be entered, a null byte
        words = getattr(reason, "strerror", None) or reason
        raise error(f"{what} '{path}': expected a file, found a path that cannot be read ({words})") from None
    if found == "nothing" and URL.match(str(path)):
        raise error(f"{what} '{str(path).replace(':/', '://', 1)}' is a URL; expected a file: download it first")
    if found == "nothing":
        raise error(f"{what} '{path}' does not exist")
    if found:
        raise error(f"{what} '{path}': expected a file, found {found}")


def require_seekable(path: Path, what: str, error: type[SdtError]) -> None:
    """Raise `error` unless the path is a file whose bytes can be read in any order: no pipe, which may never open."""
    require_file(path, what, error)
    if not path.is_file():
        raise error(f"{what} '{path}': expected a file, found a pipe or a device; save it as a file first")
