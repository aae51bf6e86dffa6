"""Prophesee's DAT: lines of text, two bytes for kind and size of a record, then eight bytes an event, little-endian.

Time u32 in microseconds, then u32 of which bits 0-13 are x, bits 14-27 y and the highest four the polarity. Kinds 0 and
12 are events, which are the same; 14 are triggers. Times that run over 32 bits go on here, and this counts as a repair.
Only version 2 is read; version 1, of the first sensors, has other bits.
Source: Prophesee, Metavision SDK 5, DAT file format.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from ..errors import RecordingError, shown
from .checking import records
from .clock import Clock
from .columns import Columns, open_columns
from .prophesee import CD, Header, find_sensor
from .recording import EventFile
from .source import Source

RECORD = 8


def open_dat(source: Source, header: Header) -> EventFile:
    """Open DAT. Raises RecordingError when its records are no events, or its version is another than 2."""
    other = next((value for value in header.told("version") if value != "2"), None)
    if other is not None:
        raise RecordingError(f"recording '{source.name}': expected DAT of version 2, found {shown(other)}")
    if header.kind not in CD:
        found = f"kind {header.kind[0]} of {header.kind[1]} bytes" if len(header.kind) == 2 else "the end of the file"
        raise RecordingError(
            f"recording '{source.name}': expected records of kind 0 or 12 (events) of {RECORD} bytes, found {found}"
        )

    def read(repairs: Counter[str]) -> Iterator[Columns]:
        clock = Clock(32)
        for block in records(source, header.size + len(header.kind), RECORD, repairs):
            time, place = np.frombuffer(block, "<u4").reshape(-1, 2).astype(np.int64).T
            t, laps = clock.unwrap(time)
            if laps:
                repairs["times beyond 32 bits carried on"] += laps
            yield [t, place & 0x3FFF, place >> 14 & 0x3FFF, place >> 28]

    return open_columns(source, "DAT", read, sensor=find_sensor(header, source.name))
