"""N-MNIST's .bin: five bytes an event, without a header.

Byte 0 is x, byte 1 y; of the other three, big-endian, the highest bit is the polarity and 23 bits are the time in
microseconds. A y of 240 is no event: the camera's clock has passed 2^13 microseconds once more.
Source: Orchard et al., Converting Static Image Datasets to Spiking Neuromorphic Datasets Using Saccades, 2015.

Readers differ in the mark of 240: the authors' Python reader (eventvision.py) adds 2^13 us to all later times and takes
the marks out, and so does tonic; their Matlab reader (Read_Ndataset.m) and spikingjelly (load_ATIS_bin) know no marks,
and would count them as events in row 240. Here they are marks. 1,100 recordings of the published set hold none, so all
readers agree on them. Nor do their times run over 23 bits; where times do, they go on here, which counts as a repair.

No byte says what the file is. It is taken for N-MNIST, after all other formats, when its first 65,536 records look so:
the first and at least nine in ten lie within 34x34 or are marks, at least nine in ten times are not below the one
before, and not all records are the same. One record alone, or bytes left over after fewer than eight, are not enough.
Dark pictures of plain bytes look almost so. They betray themselves by the letters that they begin with (BMP, PPM, TIFF,
...), which are beyond the sensor, or (TGA) by their runs: of 32 records or more, at most half may be as the one before.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from .checking import event_file, records
from .clock import Clock
from .recording import CHUNK, CameraEvents, EventFile
from .source import Source

RECORD = 5
SENSOR = 34, 34
MARK = 240  # in place of y
LAP = 1 << 13  # microseconds
CERTAIN = 8  # records that tell enough even if the file is cut
MANY = 32  # records that real events do not repeat; at most 0.2 % of the published ones are as the one before


def looks_like_nmnist(head: bytes) -> bool:
    """Tell from the first bytes of a file, or all, whether they can be N-MNIST's."""
    n, rest = divmod(len(head[: RECORD * CHUNK]), RECORD)
    if not n or (rest and n < CERTAIN):
        return False
    raw = np.frombuffer(head, np.uint8, n * RECORD).reshape(-1, RECORD)
    events = decode(raw)
    beyond = (events.x >= SENSOR[0]) | ((events.y >= SENSOR[1]) & (events.y != MARK))
    backwards = np.count_nonzero(np.diff(events.t) < 0)
    alike = np.count_nonzero((raw[1:] == raw[:-1]).all(axis=1))
    varied = alike < n - 1 if n < MANY else 2 * alike <= n
    return bool(not beyond[0] and 10 * np.count_nonzero(beyond) <= n and 10 * backwards <= n and varied)


def open_nmnist(source: Source) -> EventFile:
    """Open N-MNIST's .bin."""

    def decode_all(repairs: Counter[str]) -> Iterator[CameraEvents]:
        clock, marks = Clock(23), 0
        for block in records(source, 0, RECORD, repairs):
            events = decode(block)
            t, laps = clock.unwrap(events.t)
            if laps:
                repairs["times beyond 23 bits carried on"] += laps
            mark = events.y == MARK
            if mark.any() or marks:
                seen = marks + np.cumsum(mark)
                marks, t = int(seen[-1]), t + seen * LAP
            events = CameraEvents(t, events.x, events.y, events.p)
            yield events.where(~mark) if mark.any() else events

    return event_file(source, "N-MNIST", SENSOR, decode_all)


def decode(raw: bytes | np.ndarray) -> CameraEvents:
    """Decode whole records: uint8[5 n] -> n events; marks, and times that ran over, as they stand."""
    x, y, high, middle, low = np.frombuffer(raw, np.uint8).reshape(-1, RECORD).T
    t = (high & 0x7F).astype(np.int64) << 16 | middle.astype(np.int64) << 8 | low
    return CameraEvents(t, x.astype(np.int32), y.astype(np.int32), high >> 7)
