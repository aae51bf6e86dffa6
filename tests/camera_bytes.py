"""Recordings written byte by byte, in every format, and events to write."""

import io
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from sdt_ref.camera.recording import CameraEvents, EventFile

Event = tuple[int, int, int, int]  # t, x, y, p
NOTHING = np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.uint8)


def read(recording: EventFile) -> CameraEvents:
    """All events of a recording."""
    chunks = [(c.t, c.x, c.y, c.p) for c in recording.read()] or [NOTHING]
    return CameraEvents(*(np.concatenate(column) for column in zip(*chunks, strict=True)))


def listed(recording: EventFile) -> list[Event]:
    events = read(recording)
    assert (events.t.dtype, events.x.dtype, events.y.dtype, events.p.dtype) == (np.int64, np.int32, np.int32, np.uint8)
    return list(zip(events.t.tolist(), events.x.tolist(), events.y.tolist(), events.p.tolist(), strict=True))


def nmnist(events: Sequence[Event]) -> bytes:
    return b"".join(bytes((x, y)) + (p << 23 | t).to_bytes(3, "big") for t, x, y, p in events)


def aedat2(events: Sequence[Event], header: bytes = b"#!AER-DAT2.0\r\n# AEChip: ch.unizh.ini.DVS128\r\n") -> bytes:
    """Undo the turns of CIFAR10-DVS."""
    return header + b"".join(struct.pack(">II", (127 - x) << 8 | (127 - y) << 1 | (1 - p), t) for t, x, y, p in events)


HEADER3 = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#Start-Time: 2016-01-01 00:00:00 (TZ+0000)\r\n#!END-HEADER\r\n"


def packet3(
    events: Sequence[Event], laps: int = 0, invalid: Sequence[int] = (), unused: int = 0, camera: int = 1
) -> bytes:
    """One packet; t is within the lap. `invalid` are indices of events without the valid bit."""
    n = len(events)
    words = [(x << 17 | y << 2 | p << 1 | (i not in invalid), t) for i, (t, x, y, p) in enumerate(events)]
    payload = b"".join(struct.pack("<II", *word) for word in words) + bytes(8 * unused)
    return struct.pack("<hhiiiiii", 1, camera, 8, 4, laps, n + unused, n, n - len(invalid)) + payload


def aedat3(events: Sequence[Event], packet: int = 3) -> bytes:
    """A packet per lap of the clock, and at most so many events in each."""
    packets = [[event] for event in events[:1]]
    for event in events[1:]:
        if event[0] >> 31 == packets[-1][0][0] >> 31 and len(packets[-1]) < packet:
            packets[-1].append(event)
        else:
            packets.append([event])
    return HEADER3 + b"".join(
        packet3([(t & 0x7FFFFFFF, x, y, p) for t, x, y, p in one], laps=one[0][0] >> 31) for one in packets
    )


def sized(content: bytes) -> bytes:
    """A FlatBuffer with its size in front."""
    return struct.pack("<I", len(content)) + content


STREAM = (
    '<node name="{0}" path="/{0}/"><attr key="typeIdentifier" type="string">{1}</attr><node name="info" path="/{0}/info/">'
    '<attr key="sizeX" type="int">{2}</attr><attr key="sizeY" type="int">{3}</attr></node></node>'
)


def header4(streams: Sequence[tuple[int, str, int, int]] = ((0, "EVTS", 320, 240),)) -> bytes:
    """The table has an offset to its fields, compression 0 (none), the XML, and no position of a table of packets."""
    nodes = "".join(STREAM.format(*stream) for stream in streams)
    xml = f'<dv version="2.0"><node name="outInfo" path="/outInfo/">{nodes}</node></dv>'.encode()
    table = struct.pack("<I4s6x5HiiIq", 24, b"IOHE", 10, 20, 4, 12, 8, 10, 0, 12, -1)
    return b"#!AER-DAT4.0\r\n" + sized(table + struct.pack("<I", len(xml)) + xml + b"\0")


def packet4(events: Sequence[Event], stream: int = 0) -> bytes:
    """The table has one field, a vector of structures of 16 bytes: i64, i16, i16, bool."""
    structures = b"".join(struct.pack("<qhhB3x", *event) for event in events)
    content = sized(struct.pack("<I4s2x3HiI4xI", 16, b"EVTS", 6, 8, 4, 6, 8, len(events)) + structures)
    return struct.pack("<iI", stream, len(content)) + content


def aedat4(events: Sequence[Event], packet: int = 3) -> bytes:
    return header4() + b"".join(packet4(events[i : i + packet]) for i in range(0, len(events), packet))


def npz(save: Callable[..., None] = np.savez, **arrays: Any) -> bytes:
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def structured(events: Sequence[Event], kind: str = "x:<i2 y:<i2 t:<i8 p:?") -> np.ndarray:
    """Fields of some types, in any order; tonic's by default."""
    names, types = zip(*(field.split(":") for field in kind.split()), strict=True)
    array = np.zeros(len(events), {"names": names, "formats": types})
    for name, column in zip("txyp", np.array(events).reshape(-1, 4).T, strict=True):
        array[name] = column
    return array


def text(events: Sequence[Event], order: str = "txyp", between: str = " ", header: str = "") -> bytes:
    """A line each, without a blank before its end."""
    rows = [dict(zip("txyp", event, strict=True)) for event in events]
    return "".join([header, *(between.join(str(row[name]) for name in order) + "\n" for row in rows)]).encode()


def columns(events: Sequence[Event], kind: str = "int64") -> dict[str, np.ndarray]:
    t, x, y, p = np.array(events).reshape(-1, 4).T.astype(kind)
    return {"t": t, "x": x, "y": y, "p": p}


def lists_of_events(width: int, height: int, bits: int, least: int = 0) -> st.SearchStrategy[list[Event]]:
    """Events in the order of their times."""
    event = st.tuples(
        st.integers(0, 2**bits - 1), st.integers(0, width - 1), st.integers(0, height - 1), st.integers(0, 1)
    )
    return st.lists(event, min_size=least, max_size=20).map(lambda events: sorted(events, key=lambda event: event[0]))
