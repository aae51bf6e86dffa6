"""HDF5 of events: four arrays t, x, y and p in one group, or one array whose fields are these, or `events` of N x 4.

DSEC has `events/t`, `x`, `y`, `p` with a `t_offset` beside the group, which is added, and Prophesee `CD/events` with
fields. Group and names may be others (see `naming`), but one place alone may hold events. Read a chunk at a time, of
this file alone: links to other files, and arrays that are kept or made up elsewhere, are refused.
Source: The HDF Group, HDF5 file format; rpg.ifi.uzh.ch, DSEC; Prophesee, Metavision SDK 5, HDF5 event files.
"""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..errors import LONGEST_VALUE, RecordingError, one_line, shown
from ..hdf5 import Array, File, chunk_bytes, opened
from .array import require_numbers
from .checking import LARGEST, require_growth
from .columns import ORDER, Columns, open_columns
from .naming import find_columns
from .recording import CHUNK, EventFile
from .source import Source

SIGNATURE = b"\x89HDF\r\n\x1a\n"
FAR = 1 << 62  # microseconds, or whatever the times count


@dataclass(frozen=True)
class Place:
    """Where a file holds events.

    Attributes
    ----------
    path : of the group, or of the array
    group : path of the group that the arrays stand in
    arrays : t, x, y and p; or the one that has them all
    fields : of the one array: the names of t, x, y and p; None where it has four columns without names
    unit : of the times, as their name says
    """

    path: str
    group: str
    arrays: list[Array]
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
        _require_readable(file, place, source.size)
        sensor, cache = _sensor(file, place), max(map(chunk_bytes, place.arrays))

    def read(_: Counter[str]) -> Iterator[Columns]:
        with _opened(source, cache) as file:
            place = _place(file)
            offset = _offset(file, place)
            for first in range(0, place.arrays[0].shape[0], CHUNK):
                t, *others = _columns(place, slice(first, first + CHUNK))
                yield [t if offset is None else _later(t, offset), *others]

    return open_columns(
        source, "HDF5", read, sensor=sensor, named=len(place.arrays) > 1 or place.fields is not None, unit=place.unit
    )


@contextmanager
def _opened(source: Source, cache: int = 0) -> Iterator[File]:
    """Open the file to read; `cache` bytes hold chunks of an array."""
    with (
        source.open() as stream,
        opened(
            stream, f"recording '{source.name}'", RecordingError, "HDF5", "copy it again", own=False, cache=cache
        ) as file,
    ):
        yield file


def _place(file: File) -> Place:
    """The one place of events."""
    places = list(_places(file))
    if len(places) == 1:
        return places[0]
    if places:
        found = " and ".join(shown(place.path) for place in places[:4])
        raise RecordingError(f"expected events of one camera, found {found}; save one of them as a file of its own")
    top = [path for path in (*file.groups[1:], *file.arrays, *file.others) if "/" not in path]
    found = ", ".join(map(shown, top[:8])) or "nothing"
    raise RecordingError(f"expected HDF5 with arrays t, x, y and p in one group, such as events/t, found {found}")


def _places(file: File) -> Iterator[Place]:
    """Find events; links to other places are not followed."""
    for group, arrays in file.members.items():
        if named := find_columns(arrays):
            yield Place(f"/{group}", group, [arrays[name] for name in named.columns], None, named.unit)
        for name, array in arrays.items():
            if array.dtype.names and (named := find_columns(array.dtype.names)):
                yield Place(array.name, group, [array], named.columns, named.unit)
            elif name == "events" and array.shape and array.ndim == 2 and array.shape[1] == len(ORDER):
                yield Place(array.name, group, [array])


def _columns(place: Place, part: slice) -> Columns:
    """Read t, x, y and p of some events."""
    if place.fields:  # and not what else stands in the array
        (array,) = place.arrays
        values = [array.fields(list(place.fields))[part]]
    else:
        values = [array[part] for array in place.arrays]
    if len(values) == 1:
        (one,) = values
        values = [one[name] for name in place.fields] if place.fields else list(one.T)
    return [column.astype(np.float64) if column.dtype.kind == "f" else column for column in values]


def _require_readable(file: File, place: Place, size: int) -> None:
    axes = 1 if place.fields or len(place.arrays) > 1 else 2
    for array in place.arrays:
        kinds = [array.dtype[field] for field in place.fields] if place.fields else [array.dtype]
        for kind in kinds:
            require_numbers(f"array {_told(array)}", kind)
        if array.shape is None or array.ndim != axes:
            raise RecordingError(f"expected array {_told(array)} of {axes} axis, found shape {shown(array.shape)}")
        file.require_here(_path(array), own=False)
        if array.dtype.hasobject:
            raise RecordingError(f"expected numbers in array {_told(array)}, found texts or lists among them")
    lengths = {array.shape[0] for array in place.arrays}
    if len(lengths) > 1:
        found = ", ".join(f"{_told(array)} of {array.shape[0]}" for array in place.arrays)
        raise RecordingError(f"expected arrays t, x, y and p of one length, found {found}")
    require_growth(sum(math.prod(array.shape) * array.dtype.itemsize for array in place.arrays), size)
    for array in place.arrays:
        file.require_whole(_path(array))


def _path(array: Array) -> str:
    return str(array.name).lstrip("/")


def _told(array: Array) -> str:
    """An array's path in a message."""
    return one_line(_path(array), LONGEST_VALUE)


def _offset(file: File, place: Place) -> int | float | None:
    """DSEC's `t_offset`, a single number beside the events or their group."""
    for group in (place.group, place.group.rpartition("/")[0]):
        array, path = file.members[group].get("t_offset"), f"{group}/t_offset".lstrip("/")
        if array is None and path not in file.groups:
            continue
        if array is None or array.size != 1 or array.dtype.kind not in "uif":
            raise RecordingError("expected a single number in t_offset, found other")
        file.require_here(path, own=False)
        file.require_whole(path)
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


def _sensor(file: File, place: Place) -> tuple[int, int] | None:
    """Width and height, if an attribute says them: `geometry`, '640x480', or `sensor_resolution`, height and width."""
    for path in (_path(place.arrays[0]), place.group, ""):
        geometry, resolution = (file.attribute(name, path, variable=True) for name in ("geometry", "sensor_resolution"))
        if geometry is not None:
            sides = str(geometry).split("x")
        elif resolution is not None:
            sides = [str(side) for side in np.ravel(resolution)[1::-1]]
        else:
            continue
        if len(sides) == 2 and all(side.isdecimal() and len(side) < 9 and 0 < int(side) <= LARGEST for side in sides):
            return int(sides[0]), int(sides[1])
        raise RecordingError(f"expected a sensor of 1 to {LARGEST} pixels a side, found {shown('x'.join(sides))}")
    return None
