"""A .npz, NumPy's zip of .npy files: the arrays t, x, y and p that spikingjelly makes of a recording, or its frames.

Events are four arrays, one number an event: any integers, booleans or floats, in either byte order. Microseconds, or
seconds with fractions; pixels; the sensor is not given, unless there is a further array `sensor` of its width and
height. Frames are one array `frames`, and events may be one array `events`, whatever is beside them; a zip with one
array of any other name is read as that array (see `array`).
The arrays are read in step, a chunk at a time, and never with pickle.
Source: numpy.lib.format; spikingjelly 0.0.0.0.12, which writes t, x, y, p, and frames, with numpy.savez.
"""

import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import IO

from ..errors import RecordingError, shown
from .array import Strip, in_step, open_array, read_header, reading, require_numbers
from .checking import LARGEST, require_growth
from .columns import Columns, open_columns
from .naming import find_columns
from .recording import EventFile, FrameFile
from .source import Source

FRAMES, EVENTS, SENSOR = "frames", "events", "sensor"

Members = Mapping[str, zipfile.ZipInfo]


def open_npz(source: Source) -> EventFile | FrameFile:
    """Open a .npz of events or frames.

    Raises RecordingError when arrays are missing, of other types, of more than one axis or of different lengths, or the
    zip is damaged, encrypted, or grows more than a hundredfold when unpacked.
    """
    with _opened(source) as (pack, members):
        named = find_columns(members)
        wanted = named.columns if named else (_single(members),)
        _require_sound({key: members[key] for key in (*wanted, SENSOR) if key in members}, source.size)
        with ExitStack() as opened:
            sensor = _sensor(_strips(pack, members, (SENSOR,), opened)[0]) if SENSOR in members else None
            if named:
                _strips(pack, members, wanted, opened)
    if named is None:
        return open_array(source, "npz", partial(_member, source, wanted[0]), members[wanted[0]].file_size, sensor)
    whole = "us" if named.columns == ("t", "x", "y", "p") else None
    read = partial(_events, source, wanted)
    return open_columns(source, "npz", read, sensor=sensor, unit=named.unit, whole_unit=whole)


@contextmanager
def _opened(source: Source) -> Iterator[tuple[zipfile.ZipFile, Members]]:
    with reading(source, "npz") as file, zipfile.ZipFile(file) as pack:
        yield pack, {info.filename.removesuffix(".npy"): info for info in pack.infolist()}


@contextmanager
def _member(source: Source, key: str) -> Iterator[IO[bytes]]:
    with _opened(source) as (pack, members), pack.open(members[key]) as stream:
        yield stream


def _events(source: Source, keys: tuple[str, ...], _: Counter[str]) -> Iterator[Columns]:
    with _opened(source) as (pack, members), ExitStack() as opened:
        yield from in_step(_strips(pack, members, keys, opened))


def _single(members: Members) -> str:
    """The array that holds everything: frames, events, or the only one."""
    keys = [key for key in (FRAMES, EVENTS) if key in members][:1] or [key for key in members if key != SENSOR]
    if len(keys) != 1:
        found = ", ".join(map(shown, list(members)[:8])) or "none"
        raise RecordingError(f"expected a zip with arrays t, x, y and p, or one array, found {found}")
    return keys[0]


def _strips(pack: zipfile.ZipFile, members: Members, keys: tuple[str, ...], opened: ExitStack) -> list[Strip]:
    """Open arrays of one axis and one length, each at its numbers."""
    strips = []
    for key in keys:
        stream = opened.enter_context(pack.open(members[key]))
        header = read_header(key, stream, members[key].file_size)
        require_numbers(header.name, header.dtype)
        if len(header.shape) != 1:
            raise RecordingError(f"expected {header.name} of one axis, found shape {shown(header.shape)}")
        strips.append(Strip(header.name, header.dtype, header.shape[0], stream))
    if len({strip.length for strip in strips}) > 1:
        found = ", ".join(f"{shown(key)} of {strip.length}" for key, strip in zip(keys, strips, strict=True))
        raise RecordingError(f"expected arrays t, x, y and p of one length, found {found}")
    return strips


def _require_sound(members: Members, size: int) -> None:
    for key, info in members.items():
        if info.flag_bits & 1:
            raise RecordingError(f"expected an npz that is not encrypted, found array {shown(key)} encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise RecordingError(f"expected arrays stored or deflated, found {shown(key)} compressed in another way")
    require_growth(sum(info.file_size for info in members.values()), size)


def _sensor(strip: Strip) -> tuple[int, int]:
    found = strip.take(strip.length).tolist() if strip.length == 2 else [0]
    if not all(0 < size <= LARGEST and size == int(size) for size in found):
        raise RecordingError(f"expected width and height, 1 to {LARGEST} pixels, in array sensor, found other values")
    return int(found[0]), int(found[1])
