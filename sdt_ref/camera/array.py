"""One NumPy array as .npy stores it, of events or of frames: read a chunk at a time, and never with pickle.

Events are a structured array whose fields are named t, x, y and p, in any order and among others, as tonic has it; or
numbers N x 4, whose columns have no names. Frames are T x 2 x H x W.
Source: numpy.lib.format.
"""

import errno
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

import numpy as np

from ..errors import RecordingError, reason_of, shown
from .columns import ORDER, Columns, open_columns
from .naming import Named, find_columns
from .recording import CHUNK, EventFile, FrameFile
from .source import Source

MAGIC = b"\x93NUMPY"
WIDEST = 256  # bytes of all fields of an event
MOST_COUNTED = 1 << 24  # events at a pixel; float32 holds all whole numbers up to it
SKIPPED = 1 << 20  # bytes at a time
Opens = Callable[[], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True)
class Header:
    """What an array tells of itself; `name` is for messages."""

    name: str
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Strip:
    """Values one after the other in a stream."""

    name: str
    dtype: np.dtype[Any]
    length: int
    stream: IO[bytes]

    def take(self, n: int) -> np.ndarray:
        """The next n values."""
        raw = self.stream.read(n * self.dtype.itemsize)
        if len(raw) < n * self.dtype.itemsize:
            raise ValueError(f"{self.name} ends early")
        return np.frombuffer(raw, self.dtype)


def open_npy(source: Source) -> EventFile | FrameFile:
    """Open a .npy of events or frames.

    Raises RecordingError when it holds neither, or Python's objects, or more or fewer numbers than its header says.
    """
    return open_array(source, "npy", partial(reading, source, "npy"), source.size)


def open_array(
    source: Source, format: str, opens: Opens, size: int, sensor: tuple[int, int] | None = None
) -> EventFile | FrameFile:
    """Open an array of a file.

    Parameters
    ----------
    opens : opens it at its beginning, any number of times, and turns what NumPy raises into a RecordingError
    size : bytes, header and numbers
    sensor : of events, where the file tells it
    """
    with opens() as stream:
        header = read_header("", stream, size)
        array = _Array(opens, size, header)
        if header.dtype.names:
            named = _fields(header)
            read = partial(_structured, array, named.columns)
            return open_columns(source, format, read, sensor=sensor, unit=named.unit)
        require_numbers(header.name, header.dtype)
        if len(header.shape) == 2 and header.shape[1] == len(ORDER):
            return open_columns(source, format, partial(_rows, array), sensor=sensor, named=False)
        if len(header.shape) == 4 and header.shape[1] == 2 and all(header.shape):
            return FrameFile(source.name, header.shape, partial(_frames, array))
        raise RecordingError(
            "expected events (fields t, x, y and p, or N x 4 numbers) or frames (T x 2 x H x W), found an array of "
            f"shape {shown(header.shape)}"
        )


@contextmanager
def reading(source: Source, format: str) -> Iterator[IO[bytes]]:
    """Open a file, and turn what NumPy and zipfile raise into a RecordingError."""
    with source.open() as file:
        try:
            yield file
        except RecordingError as error:
            raise RecordingError(f"recording '{source.name}': {error}") from None
        except MemoryError:
            raise
        except Exception as error:  # NumPy and zipfile raise BadZipFile, zlib.error, EOFError, ValueError, ...
            if isinstance(error, OSError) and error.errno != errno.EINVAL:  # that one: a place before the beginning
                raise
            raise RecordingError(
                f"recording '{source.name}' is a damaged {format}: {reason_of(error)}; copy it again"
            ) from None


def read_header(key: str, stream: IO[bytes], size: int) -> Header:
    """Read the header of an array, and leave the stream at its numbers.

    Parameters
    ----------
    key : name of the array in a zip; '' of one that is a file of its own
    size : bytes, header and numbers

    Raises RecordingError when the array is of objects, or of more or fewer numbers than its header says.
    """
    name = f"array {shown(key)}" if key else "the array"
    shape, fortran, dtype = read_npy_header(stream)
    if dtype.hasobject:
        raise RecordingError(f"expected numbers in {name}, found objects of Python, which are never read")
    left = size - stream.tell()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != left:
        raise RecordingError(
            f"expected {name} of shape {shown(shape)} with {dtype.itemsize} bytes each, as its header says, found "
            f"{left} bytes"
        )
    return Header(name, shape, fortran, dtype)


def read_npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read shape, order (True of Fortran's) and type of a .npy, and leave the stream at its numbers.

    Raises RecordingError for another version, ValueError and what else NumPy raises for a header that is none.
    """
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise RecordingError(f"expected an array in NumPy's format 1.0 or 2.0, found {version[0]}.{version[1]}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 wrote
        try:
            return read(stream)
        except MemoryError:  # Python's parser, of text that is too deep
            raise ValueError("its header is nested too deep") from None


def require_numbers(name: str, dtype: np.dtype[Any]) -> None:
    """Refuse what are no booleans, integers or floats of at most 8 bytes."""
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        raise RecordingError(f"expected numbers in {name}, found {shown(dtype)}")


def in_step(strips: list[Strip]) -> Iterator[Columns]:
    """Read strips of one length together, a chunk at a time; floats as float64, which is exact."""
    left = strips[0].length
    while left:
        n = min(left, CHUNK)
        left -= n
        yield [plain(strip.take(n)) for strip in strips]


def plain(values: np.ndarray) -> np.ndarray:
    """Floats of any size as float64; others as they are."""
    return values.astype(np.float64, copy=False) if values.dtype.kind == "f" else values


def _fields(header: Header) -> Named:
    """Which fields are t, x, y and p."""
    names = header.dtype.names or ()
    named = find_columns(names)
    if named is None:
        found = ", ".join(map(shown, names[:8]))
        raise RecordingError(f"expected fields t, x, y and p, found {found}")
    if len(header.shape) != 1 or header.dtype.itemsize > WIDEST:
        raise RecordingError(
            f"expected one axis of events of at most {WIDEST} bytes, found shape {shown(header.shape)} of "
            f"{header.dtype.itemsize} bytes"
        )
    for name in named.columns:
        require_numbers(f"field {shown(name)}", header.dtype[name])
    return named


@dataclass(frozen=True)
class _Array:
    """An array of a file, to be read as often as wanted."""

    opens: Opens
    size: int
    header: Header

    @contextmanager
    def strip(self, dtype: np.dtype[Any], length: int, skipped: int = 0) -> Iterator[Strip]:
        """Its numbers, after some bytes of them, as values of a type."""
        with self.opens() as stream:
            if read_header("", stream, self.size) != self.header:
                raise RecordingError("expected the array that was opened, found another; leave the file as it is")
            while skipped > 0:  # read and not sought: a zip in which one seeks checks nothing
                stream.read(min(skipped, SKIPPED))
                skipped -= SKIPPED
            yield Strip(self.header.name, dtype, length, stream)


def _structured(array: _Array, names: tuple[str, ...], _: Counter[str]) -> Iterator[Columns]:
    with array.strip(array.header.dtype, array.header.shape[0]) as strip:
        for (events,) in in_step([strip]):
            yield [plain(events[name]) for name in names]


def _rows(array: _Array, _: Counter[str]) -> Iterator[Columns]:
    """Read N x 4 numbers as they are stored: row after row, or column after column, each through its own stream."""
    (n, width), dtype = array.header.shape, array.header.dtype
    with ExitStack() as opened:
        if array.header.fortran:
            skips = [column * n * dtype.itemsize for column in range(width)]
            yield from in_step([opened.enter_context(array.strip(dtype, n, skip)) for skip in skips])
            return
        rows = opened.enter_context(array.strip(np.dtype((dtype, (width,))), n))
        for (some,) in in_step([rows]):
            yield list(some.T)


def _frames(array: _Array) -> np.ndarray:
    """Read frames whole: integers or float64 [T, 2, H, W], counts of events; refuses what cannot be counts."""
    header = array.header
    numbers = math.prod(header.shape)
    with array.strip(header.dtype, numbers) as strip:
        values = plain(strip.take(numbers))
        if not (values.min() >= 0 and values.max() <= MOST_COUNTED):
            raise RecordingError(
                f"expected counts of events from 0 to {MOST_COUNTED}, found {values.min()} to {values.max()}"
            )
        if not values.any():
            raise RecordingError("expected events, found none in any frame")
        return values.reshape(header.shape, order="F" if header.fortran else "C")
