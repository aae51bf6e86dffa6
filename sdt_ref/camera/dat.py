"""Prophesee's DAT: lines of text, two bytes for kind and size of a record, then eight bytes an event, little-endian.

Time u32 in microseconds, then u32 of which bits 0-13 are x, bits 14-27 y and the highest four the polarity. Kinds 0 and
12 are events, which are the same; 14 are triggers. Times that run over 32 bits go on here, and this counts as a repair.
Only version 2 is read: what version 1 was before is not documented.
Source: Prophesee, Metavision SDK 5, DAT file format.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from ..errors import RecordingError
from .checking import event_file, records
from .clock import Clock
from .polarity import find_polarities
from .prophesee import CD, Header, find_sensor
from .recording import CameraEvents, EventFile
from .source import Source

RECORD = 8


def open_dat(source: Source, header: Header) -> EventFile:
    """Open DAT. Raises RecordingError when its records are no events, or its version is another than 2."""
    other = next((value for value in header.told("version") if value != "2"), None)
    if other is not None:
        raise RecordingError(f"recording '{source.name}': expected DAT of version 2, found {other[:20]!r}")
    if header.kind not in CD:
        found = f"kind {header.kind[0]} of {header.kind[1]} bytes" if len(header.kind) == 2 else "the end of the file"
        raise RecordingError(
            f"recording '{source.name}': expected records of kind 0 or 12 (events) of {RECORD} bytes, found {found}"
        )

    def pairs(repairs: Counter[str]) -> Iterator[np.ndarray]:
        for block in records(source, header.size + len(header.kind), RECORD, repairs):
            yield np.frombuffer(block, "<u4").reshape(-1, 2)

    def decode_all(repairs: Counter[str]) -> Iterator[CameraEvents]:
        clock = Clock(32)
        polarities = find_polarities((words[:, 1] >> 28 for words in pairs(Counter())), source.name)
        for words in pairs(repairs):
            t, laps = clock.unwrap(words[:, 0].astype(np.int64))
            if laps:
                repairs["times beyond 32 bits carried on"] += laps
            place = words[:, 1].astype(np.int64)
            p = polarities.decode(words[:, 1] >> 28, repairs)
            yield CameraEvents(t, place & 0x3FFF, place >> 14 & 0x3FFF, p)

    return event_file(source, "DAT", find_sensor(header, source.name), decode_all)
