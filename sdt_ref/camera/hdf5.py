"""HDF5 of events: four arrays t, x, y and p in one group, or one array whose fields are these, or `events` of N x 4.

DSEC has `events/t`, `x`, `y`, `p` with a `t_offset` beside the group, which is added, and Prophesee `CD/events` with
fields. Group and names may be others (see `naming`), but one place alone may hold events. Read a chunk at a time, of
this file alone: links to other files, and arrays that are kept or made up elsewhere, are refused.
Source: The HDF Group, HDF5 file format; rpg.ifi.uzh.ch, DSEC; Prophesee, Metavision SDK 5, HDF5 event files.
"""

import importlib.util
import math
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from ..errors import RecordingError
from .checking import LARGEST, require_growth
from .columns import ORDER, Columns, open_columns
from .naming import find_columns
from .recording import CHUNK, EventFile
from .source import Source

SIGNATURE = b"\x89HDF\r\n\x1a\n"
NODES, DEPTH = 1000, 4  # that are looked at for events
LARGEST_CHUNK = 64 << 20  # bytes of the file's own chunks, each of which is in memory as a whole
BUILT_IN = {1, 2, 3, 4, 5, 6, 32000}  # filters that HDF5 or h5py bring
PLUGINS = {307: "bzip2", 32001: "Blosc", 32004: "LZ4", 32008: "Bitshuffle", 32015: "Zstandard", 32026: "Blosc2"}
ECF = 0x8ECF  # Prophesee's number of its own
FAR = 1 << 62  # microseconds, or whatever the times count
EXTRA = "in the folder of sdt_ref: pip install '.[events]'"


@dataclass(frozen=True)
class Place:
    """Where a file holds events.

    Attributes
    ----------
    path : of the group, or of the array
    arrays : t, x, y and p; or the one that has them all
    fields : of the one array: the names of t, x, y and p; None where it has four columns without names
    unit : of the times, as their name says
    """

    path: str
    arrays: list[Any]
    fields: tuple[str, ...] | None = None
    unit: str | None = None


def is_hdf5(head: bytes) -> bool:
    """Tell HDF5; other bytes may stand before it, 512 or twice, four times, ... as many."""
    return any(head.startswith(SIGNATURE, at) for at in (0, *(512 << k for k in range(10))))


def holds_events(source: Source) -> bool:
    """Tell whether an HDF5 file has events, or is too damaged to tell; packs, weights and traces have none."""
    try:
        with _opened(source) as file:
            return next(_places(file), None) is not None
    except RecordingError:
        return True


def open_hdf5(source: Source) -> EventFile:
    """Open HDF5 of events.

    Raises RecordingError when it has none, or in several places; when their arrays are no numbers, of different
    lengths, elsewhere, or claim far more than the file can hold; or when a filter is missing.
    """
    with _opened(source) as file:
        place = _place(file)
        _require_readable(place, source.size)
        sensor, cache = _sensor(file, place), max(map(_chunk_bytes, place.arrays))

    def read(_: Counter[str]) -> Iterator[Columns]:
        with _opened(source, cache) as file:
            place = _place(file)
            offset = _offset(place)
            for first in range(0, place.arrays[0].shape[0], CHUNK):
                t, *others = _columns(place, slice(first, first + CHUNK))
                yield [t if offset is None else _later(t, offset), *others]

    return open_columns(
        source, "HDF5", read, sensor=sensor, named=len(place.arrays) > 1 or place.fields is not None, unit=place.unit
    )


@contextmanager
def _opened(source: Source, cache: int = 1 << 20) -> Iterator[Any]:
    """Open the file to read, and turn what h5py raises into a RecordingError; `cache` bytes hold chunks of an array."""
    with source.open() as stream:
        try:
            with h5py.File(stream, "r", rdcc_nbytes=max(cache, 1 << 20)) as file:
                yield file
        except RecordingError as error:
            raise RecordingError(f"recording '{source.name}': {error}") from None
        except MemoryError:
            raise
        except Exception as error:  # h5py raises OSError, RuntimeError, KeyError, TypeError, ValueError, ...
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise RecordingError(f"recording '{source.name}' is a damaged HDF5: {reason}; copy it again") from None


def _place(file: Any) -> Place:
    """The one place of events."""
    places = list(_places(file))
    if len(places) == 1:
        return places[0]
    if places:
        found = " and ".join(repr(place.path[:80]) for place in places[:4])
        raise RecordingError(f"expected events of one camera, found {found}; save one of them as a file of its own")
    found = ", ".join(repr(name[:40]) for name in list(file)[:8]) or "nothing"
    raise RecordingError(f"expected HDF5 with arrays t, x, y and p in one group, such as events/t, found {found}")


def _places(file: Any) -> Iterator[Place]:
    """Find events, breadth first; links to other places are not followed."""
    waiting, left = deque([(file, 0)]), NODES
    while waiting and left > 0:
        group, depth = waiting.popleft()
        arrays: dict[str, Any] = {}
        for name in group:
            left -= 1
            if left < 0:
                break
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            node = group[name]
            if isinstance(node, h5py.Dataset):
                arrays[name] = node
            elif isinstance(node, h5py.Group) and depth < DEPTH:
                waiting.append((node, depth + 1))
        if named := find_columns(arrays):
            yield Place(group.name, [arrays[name] for name in named.columns], None, named.unit)
        for name, array in arrays.items():
            if array.dtype.names and (named := find_columns(array.dtype.names)):
                yield Place(array.name, [array], named.columns, named.unit)
            elif name == "events" and array.shape and array.ndim == 2 and array.shape[1] == len(ORDER):
                yield Place(array.name, [array])


def _columns(place: Place, part: slice) -> Columns:
    """Read t, x, y and p of some events."""
    values = [array[part] for array in place.arrays]
    if len(values) == 1:
        (one,) = values
        values = [one[name] for name in place.fields] if place.fields else list(one.T)
    return [column.astype(np.float64) if column.dtype.kind == "f" else column for column in values]


def _require_readable(place: Place, size: int) -> None:
    axes = 1 if place.fields or len(place.arrays) > 1 else 2
    for array in place.arrays:
        kinds = [array.dtype[field] for field in place.fields] if place.fields else [array.dtype]
        other = next((kind for kind in kinds if kind.kind not in "buif" or kind.itemsize > 8), None)
        if other is not None:
            raise RecordingError(f"expected numbers in array {_named(array)}, found {str(other)[:40]}")
        if array.shape is None or array.ndim != axes:
            raise RecordingError(f"expected array {_named(array)} of {axes} axis, found shape {array.shape}")
        _require_here(array)
    lengths = {array.shape[0] for array in place.arrays}
    if len(lengths) > 1:
        found = ", ".join(f"{_named(array)} of {array.shape[0]}" for array in place.arrays)
        raise RecordingError(f"expected arrays t, x, y and p of one length, found {found}")
    require_growth(sum(math.prod(array.shape) * array.dtype.itemsize for array in place.arrays), size)


def _require_here(array: Any) -> None:
    """Refuse numbers that are not in this file, or in chunks that do not fit in memory, or behind a filter."""
    if array.is_virtual or array.external:
        raise RecordingError(f"expected array {_named(array)} in this file, found it kept in another")
    if _chunk_bytes(array) > LARGEST_CHUNK:
        raise RecordingError(
            f"expected chunks of at most {LARGEST_CHUNK} bytes in array {_named(array)}, found {_chunk_bytes(array)}; "
            "save it again with smaller ones"
        )
    settings = array.id.get_create_plist()
    for i in range(settings.get_nfilters()):
        _require_filter(settings.get_filter(i)[0], _named(array))


def _require_filter(number: int, name: str) -> None:
    """Refuse a filter that is missing, or that may not keep numbers as they are."""
    if number not in {*BUILT_IN, *PLUGINS, ECF}:
        raise RecordingError(f"expected array {name} compressed without loss, found filter {number}")
    if number in PLUGINS and importlib.util.find_spec("hdf5plugin") is not None:
        importlib.import_module("hdf5plugin")  # brings its filters
    if h5py.h5z.filter_avail(number):
        return
    if number in PLUGINS:
        raise RecordingError(
            f"array {name} is compressed with {PLUGINS[number]}, which needs the package hdf5plugin; {EXTRA}"
        )
    if number == ECF:
        raise RecordingError(
            f"array {name} is compressed with Prophesee's ECF, which needs their HDF5 plugin hdf5_ecf; install that, "
            "or take the RAW file"
        )
    raise RecordingError(f"array {name} is compressed with filter {number}, which this h5py lacks; save it with gzip")


def _chunk_bytes(array: Any) -> int:
    return math.prod(array.chunks) * array.dtype.itemsize if array.chunks else 0


def _named(array: Any) -> str:
    return array.name.lstrip("/")[:80]


def _offset(place: Place) -> int | float | None:
    """DSEC's `t_offset`, a single number beside the events or their group."""
    group = place.arrays[0].parent
    for beside in (group, group.parent):
        if not isinstance(beside.get("t_offset", getlink=True), h5py.HardLink):
            continue
        array = beside["t_offset"]
        if not isinstance(array, h5py.Dataset) or array.size != 1 or array.dtype.kind not in "uif":
            raise RecordingError("expected a single number in t_offset, found other")
        _require_here(array)
        return np.ravel(array[()])[0].item()
    return None


def _later(t: np.ndarray, offset: float) -> np.ndarray:
    """Add an offset of the times' own kind, whole or with fractions."""
    fractions = t.dtype.kind == "f"
    if not offset:
        return t
    if fractions and isinstance(offset, float):
        return t + offset
    if fractions or offset != offset // 1 or not abs(offset) < FAR or (len(t) and int(t.max()) >= FAR):
        raise RecordingError(f"expected whole times and t_offset below 2^62, found {t.dtype} and t_offset {offset}")
    return t.astype(np.int64) + int(offset)


def _sensor(file: Any, place: Place) -> tuple[int, int] | None:
    """Width and height, if an attribute says them: `geometry`, '640x480', or `sensor_resolution`, height and width."""
    for node in (place.arrays[0], place.arrays[0].parent, file):
        geometry, resolution = node.attrs.get("geometry"), node.attrs.get("sensor_resolution")
        if geometry is not None:
            text = geometry.decode("ascii", "replace") if isinstance(geometry, bytes) else str(geometry)
            sides = text.split("x")
        elif resolution is not None:
            sides = [str(side) for side in np.ravel(resolution)[1::-1]]
        else:
            continue
        if len(sides) == 2 and all(side.isdecimal() and len(side) < 9 and 0 < int(side) <= LARGEST for side in sides):
            return int(sides[0]), int(sides[1])
        raise RecordingError(f"expected a sensor of 1 to {LARGEST} pixels a side, found {'x'.join(sides)[:40]!r}")
    return None
