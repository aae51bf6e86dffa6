"""Prophesee's RAW files: lines of text, which name the version of the words, then words of EVT 2.0, 2.1 or 3.0.

The words are little-endian unless the header says `endianness=big`. Of EVT 2.1 the half that holds the kind comes
second; first where the header says `endianness=legacy` (cameras with an IMX636). Without a word on it, the words of
time tell: their other half is 0. EVT 2.1 follows the specification alone: no file of it was at hand.
Source: Prophesee, Metavision SDK 5, RAW file format and EVT 2.1.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from ..errors import RecordingError, shown
from .checking import event_file, records
from .evt_words import TIME_HIGH, UNKNOWN, Evt2, Evt3
from .prophesee import Header, find_sensor
from .recording import CameraEvents, EventFile
from .source import Source

VERSIONS = {"2": "2.0", "2.0": "2.0", "2.1": "2.1", "3": "3.0", "3.0": "3.0"}  # of '% evt'
FORMATS = {"EVT2": "2.0", "EVT21": "2.1", "EVT3": "3.0"}  # of '% format'
ORDERS = ("little", "big", "legacy")
CERTAIN = 8  # words of time that contradict a header


def open_evt(source: Source, header: Header) -> EventFile:
    """Open RAW. Raises RecordingError when its header, or the words that follow, are of no version that is read."""
    version = _version(header, source.name)
    sensor = find_sensor(header, source.name)
    endianness = _endianness(header, source.name)
    order = ">" if endianness == "big" else "<"
    kind_at = _kind_at(source, header, endianness) if version == "2.1" else None

    def words() -> Evt2 | Evt3:
        return Evt3(order) if version == "3.0" else Evt2(order, kind_at)

    _require_known(source, header, version, words())

    def decode_all(repairs: Counter[str]) -> Iterator[CameraEvents]:
        decoder = words()
        for block in records(source, header.size, decoder.size, repairs):
            yield from decoder.decode(block, repairs)

    return event_file(source, f"EVT {version}", sensor, decode_all)


def _version(header: Header, name: str) -> str:
    said = {VERSIONS.get(value, value) for value in header.told("evt")}
    said |= {FORMATS.get(word, word) for word in (value.split(";")[0].strip() for value in header.told("format"))}
    if len(said) == 1 and (version := min(said)) in VERSIONS:
        return version
    found = " and ".join(map(shown, sorted(said)[:4])) or "neither"
    raise RecordingError(
        f"recording '{name}': expected a RAW file whose header says '% evt' 2.0, 2.1 or 3.0, or '% format' EVT2, EVT21 "
        f"or EVT3, found {found}"
    )


def _endianness(header: Header, name: str) -> str | None:
    said = {value.lower() for key, value in header.options if key == "endianness"}
    said |= {value.lower() for value in header.told("endianness")}
    if len(said) > 1 or not said <= set(ORDERS):
        found = " and ".join(map(shown, sorted(said)[:4]))
        raise RecordingError(f"recording '{name}': expected endianness {', '.join(ORDERS)}, or none, found {found}")
    return said.pop() if said else None


def _kind_at(source: Source, header: Header, endianness: str | None) -> int:
    """Which half of the words of EVT 2.1 holds the kind: as the header says, else as the first words of time do.

    Raises RecordingError where these two do not agree; a few words of events can look like words of time.
    """
    if endianness == "big":
        return 0
    halves = np.frombuffer(next(records(source, header.size, 8, Counter()), b""), "<u4").reshape(-1, 2)
    times = [np.count_nonzero((halves[:, at] >> 28 == TIME_HIGH) & (halves[:, 1 - at] == 0)) for at in (0, 1)]
    kind_at = {"legacy": 0, "little": 1}.get(endianness or "", int(times[1] >= times[0]))
    if times[kind_at] < times[1 - kind_at] and times[1 - kind_at] >= CERTAIN:
        raise RecordingError(
            f"recording '{source.name}': expected words of EVT 2.1 with endianness {endianness}, as its header says, "
            f"found {times[1 - kind_at]} words of time in the other order"
        )
    return kind_at


def _require_known(source: Source, header: Header, version: str, decoder: Evt2 | Evt3) -> None:
    """Refuse a file whose first words, at most CHUNK, are mostly of no known kind."""
    for block in records(source, header.size, decoder.size, Counter()):
        strange: Counter[str] = Counter()
        n = len(block) // decoder.size
        for _ in decoder.decode(block, strange):
            pass
        if 2 * strange[UNKNOWN] > n:
            raise RecordingError(
                f"recording '{source.name}': expected words of EVT {version}, as its header says, found no known kind "
                f"in {strange[UNKNOWN]} of the first {n}; it is of another version, or damaged"
            )
        break
