"""The .npz that spikingjelly makes of recordings: arrays t, x, y and p, one number an event.

NumPy's zip of .npy files, compressed or not. Any integers, booleans, or floats that are whole, in either byte order.
Microseconds and pixels; the sensor is not given, unless there is a further array `sensor` of its width and height.
The four are read in step, a chunk at a time, and never with pickle.
Source: numpy.lib.format; spikingjelly 0.0.0.0.12, which writes t, x, y, p with numpy.savez.
"""

import errno
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from ..errors import RecordingError
from .checking import LARGEST, event_file
from .recording import CHUNK, CameraEvents, EventFile
from .source import Source

COLUMNS = ("t", "x", "y", "p")
MOST = 100  # times the size of the file; camera events shrink about tenfold, and zeros a thousandfold
HARMLESS = 64 << 20  # bytes; whatever grows to less is read


@dataclass(frozen=True)
class _Column:
    """One array of the zip."""

    key: str
    dtype: np.dtype[Any]
    length: int
    stream: IO[bytes]

    def take(self, n: int) -> np.ndarray:
        """The next n numbers, as integers."""
        raw = self.stream.read(n * self.dtype.itemsize)
        if len(raw) < n * self.dtype.itemsize:
            raise ValueError(f"array {self.key} ends early")
        values = np.frombuffer(raw, self.dtype)
        if values.dtype.kind == "f":
            return self._whole(values)
        if values.dtype.kind == "u" and values.dtype.itemsize == 8 and values.max() >> 63:
            raise RecordingError(f"expected numbers below 2^63 in array {self.key}, found {values.max()}")
        return values.astype(np.uint8 if values.dtype.kind == "b" else np.int64)

    def _whole(self, values: np.ndarray) -> np.ndarray:
        values = values.astype(np.float64)  # exact
        strange = values[~((np.abs(values) < 2.0**63) & (np.trunc(values) == values))]
        if len(strange):
            raise RecordingError(f"expected whole numbers below 2^63 in array {self.key}, found {strange[0]}")
        return values.astype(np.int64)


def open_npz(source: Source) -> EventFile:
    """Open spikingjelly's .npz.

    Raises RecordingError when arrays are missing, of other types, of more than one axis or of different lengths, or the
    zip is damaged, encrypted, or grows more than a hundredfold when unpacked.
    """
    with _columns(source) as (columns, sensor):
        _require_same_length(columns)

    def decode_all(repairs: Counter[str]) -> Iterator[CameraEvents]:
        with _columns(source) as (columns, _):
            left = _require_same_length(columns)
            while left:
                n = min(left, CHUNK)
                t, x, y, p = (column.take(n) for column in columns)
                left -= n
                yield CameraEvents(t, x, y, p)

    return event_file(source, "npz", sensor, decode_all)


def _require_same_length(columns: list[_Column]) -> int:
    lengths = {column.key: column.length for column in columns}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{key} of {length}" for key, length in lengths.items())
        raise RecordingError(f"expected arrays t, x, y and p of one length, found {found}")
    return lengths["t"]


@contextmanager
def _columns(source: Source) -> Iterator[tuple[list[_Column], tuple[int, int] | None]]:
    """Open the four arrays, and the sensor, and turn what NumPy and zipfile raise into a RecordingError."""
    with source.open() as file, ExitStack() as opened:
        try:
            pack = opened.enter_context(zipfile.ZipFile(file))
            members = {info.filename.removesuffix(".npy"): info for info in pack.infolist()}
            if not set(COLUMNS) <= set(members):
                found = ", ".join(repr(name[:40]) for name in list(members)[:8]) or "none"
                raise RecordingError(f"expected a zip with arrays t, x, y and p, found {found}")
            known = {key: members[key] for key in (*COLUMNS, "sensor") if key in members}
            _require_sound(known, source.size)
            arrays = {key: _open_array(key, info, opened.enter_context(pack.open(info))) for key, info in known.items()}
            yield [arrays[key] for key in COLUMNS], _sensor(arrays.get("sensor"))
        except RecordingError as error:
            raise RecordingError(f"recording '{source.name}': {error}") from None
        except MemoryError:
            raise
        except (
            Exception
        ) as error:  # BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, OverflowError, ...
            if isinstance(error, OSError) and error.errno != errno.EINVAL:  # that one: a place before the beginning
                raise
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise RecordingError(f"recording '{source.name}' is a damaged npz: {reason}; copy it again") from None


def _require_sound(members: dict[str, zipfile.ZipInfo], size: int) -> None:
    for key, info in members.items():
        if info.flag_bits & 1:
            raise RecordingError(f"expected an npz that is not encrypted, found array {key} encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise RecordingError(f"expected arrays stored or deflated, found {key} compressed in another way")
    unpacked = sum(info.file_size for info in members.values())
    if unpacked > max(MOST * size, HARMLESS):
        raise RecordingError(
            f"expected events that unpack to at most {MOST} times the {size} bytes of the file, found {unpacked} bytes"
        )


def _open_array(key: str, info: zipfile.ZipInfo, stream: IO[bytes]) -> _Column:
    """Read the header of an array, and leave the stream at its numbers."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise RecordingError(f"expected array {key} in NumPy's format 1.0 or 2.0, found {version[0]}.{version[1]}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 wrote
        shape, _, dtype = read(stream)
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        raise RecordingError(f"expected whole numbers in array {key}, found {dtype}")
    if len(shape) != 1 or shape[0] < 0:
        raise RecordingError(f"expected array {key} of one axis, found shape {shape}")
    if shape[0] * dtype.itemsize != info.file_size - stream.tell():
        raise RecordingError(
            f"expected {shape[0]} numbers of {dtype} in array {key}, as its header says, "
            f"found {info.file_size - stream.tell()} bytes"
        )
    return _Column(key, dtype, shape[0], stream)


def _sensor(column: _Column | None) -> tuple[int, int] | None:
    if column is None:
        return None
    found = column.take(column.length).tolist() if column.length == 2 else [0]
    if not all(0 < size <= LARGEST for size in found):
        raise RecordingError(f"expected width and height, 1 to {LARGEST} pixels, in array sensor, found other values")
    return found[0], found[1]
