"""AEDAT 3.1, as DVS128 Gesture uses it: lines of text, then packets of events of one kind, little-endian.

A packet's header has 28 bytes: kind and camera i16; bytes an event, where in it the time is, laps of the clock,
capacity, number of events, and how many of them are valid, i32. `capacity` events follow, of which the first `number`
were recorded; files usually have both equal. Events of brightness are kind 1, eight bytes: u32 of which bit 0 says
valid, bit 1 that it became brighter, bits 2-16 y, bits 17-31 x; then u32 microseconds, below 2^31, to which the laps
add 2^31 each. Packets of other kinds (signals, frames, inertial measurements) are skipped.
Source: iniVation, AEDAT 3.1; libcaer, events/common.h and events/polarity.h.

spikingjelly 0.0.0.0.12 (load_aedat_v3) takes all `capacity` events and does not look at the valid bit. Here what is not
valid is left out and counted as a repair, and unused capacity is no event. The two agree where all events are valid.
"""

import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..errors import RecordingError, shown
from .checking import CUT, event_file
from .header import END, read_header
from .recording import CHUNK, CameraEvents, EventFile
from .source import Source

HEADER = struct.Struct("<hhiiiiii")
POLARITY, EVENT = 1, 8  # the kind of packet that is read, and the bytes of an event in it
SENSORS = {  # width and height, by how the names of the cameras begin; iniVation's specifications
    "EDVS4337": (128, 128),
    "DVS128": (128, 128),
    "DAVIS128": (128, 128),
    "DAVIS240": (240, 180),
    "DAVIS346": (346, 260),
    "DAVIS640": (640, 480),
}


def open_aedat3(source: Source) -> EventFile:
    """Open AEDAT 3.1. Raises RecordingError when its header has no end or names a form that is not 'RAW'."""
    lines, offset = read_header(source)
    if lines[-1] != END.decode():
        raise RecordingError(
            f"recording '{source.name}': expected a line '{END.decode()}' after the header, found none"
        )
    form = next((line.partition(":")[2].strip() for line in lines if line.startswith("#Format:")), "RAW")
    if form != "RAW":
        raise RecordingError(f"recording '{source.name}': expected AEDAT 3.1 of format RAW, found {shown(form)}")
    cameras = [named[1].upper() for line in lines if (named := re.match(r"#Source \d+: *(\S+)", line))]
    sensors = {size for camera in cameras for name, size in SENSORS.items() if camera.startswith(name)}
    sensor = sensors.pop() if len(sensors) == 1 else None

    def decode_all(repairs: Counter[str]) -> Iterator[CameraEvents]:
        gathered = _Gathered()
        for raw, laps in _packets(source, offset, repairs):
            gathered.add(raw, laps)
            if gathered.events >= CHUNK:
                yield _valid(gathered, repairs)
                gathered = _Gathered()
        if gathered.events:
            yield _valid(gathered, repairs)

    return event_file(source, "AEDAT 3.1", sensor, decode_all)


@dataclass
class _Gathered:
    """Packets hold few events each, and NumPy is fast with many."""

    raw: list[bytes] = field(default_factory=list)
    laps: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    events: int = 0

    def add(self, raw: bytes, laps: int) -> None:
        self.raw.append(raw)
        self.laps.append(laps)
        self.lengths.append(len(raw) // EVENT)
        self.events += len(raw) // EVENT


def _valid(gathered: _Gathered, repairs: Counter[str]) -> CameraEvents:
    data, time = np.frombuffer(b"".join(gathered.raw), "<u4").reshape(-1, 2).T
    events = decode(data, time, np.repeat(np.array(gathered.laps, np.int64), gathered.lengths))
    valid = (data & 1).astype(bool)
    if valid.all():
        return events
    repairs["events that are marked as not valid left out"] += int(np.count_nonzero(~valid))
    return events.where(valid)


def decode(data: np.ndarray, time: np.ndarray, laps: np.ndarray) -> CameraEvents:
    """Decode words of events, valid or not: uint32[n], uint32[n] and int64[n] -> n events."""
    return CameraEvents(
        time | laps << 31,
        (data >> 17).astype(np.int32),
        (data >> 2 & 0x7FFF).astype(np.int32),
        (data >> 1 & 1).astype(np.uint8),
    )


def _packets(source: Source, position: int, repairs: Counter[str]) -> Iterator[tuple[bytes, int]]:
    """Yield the recorded events of each packet, at most CHUNK at a time, and the laps of its clock.

    What a header claims is never allocated, and skipped only as far as the file goes.
    """
    camera: int | None = None
    with source.open() as stream:
        stream.seek(position)
        while header := stream.read(HEADER.size):
            if len(header) < HEADER.size:
                repairs[CUT] += 1
                return
            kind, of, size, _, laps, capacity, number, _ = HEADER.unpack(header)
            wrong = _wrong(kind, size, laps, capacity, number)
            if wrong:
                raise RecordingError(
                    f"recording '{source.name}': expected a packet at byte {position}, found a header with {wrong}; "
                    "the file is damaged"
                )
            position += HEADER.size
            if kind == POLARITY and number:
                if camera not in (None, of):
                    raise RecordingError(
                        f"recording '{source.name}': expected events of one camera, found those of {camera} and {of}"
                    )
                camera = of
                left = min(number, (source.size - position) // EVENT)
                repairs.update([CUT] * (left < number))
                while left:
                    raw = stream.read(min(left, CHUNK) * EVENT)
                    left -= min(left, CHUNK)
                    yield raw[: len(raw) // EVENT * EVENT], laps
            elif position + size * number > source.size:
                repairs[CUT] += 1
            position += size * capacity
            if position >= source.size:
                return
            stream.seek(position)


def _wrong(kind: int, size: int, laps: int, capacity: int, number: int) -> str | None:
    """What cannot be in a packet's header, in words."""
    if kind < 0:
        return f"kind {kind}"
    if size < 1 or (kind == POLARITY and size != EVENT):
        return f"{size} bytes an event of kind {kind}"
    if not 0 <= number <= capacity:
        return f"{number} events of at most {capacity}"
    return f"{laps} laps of the clock" if laps < 0 else None
