"""What holds for events of every format, checked in one place: within the sensor, no time below 0."""

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from ..errors import RecordingError
from .recording import CHUNK, CameraEvents, EventFile
from .source import Source

LARGEST = 1 << 16  # pixels in a row or a column; no format addresses more
GROWTH = 100  # times the size of a file; camera events shrink about tenfold, and zeros a thousandfold
HARMLESS = 64 << 20  # bytes; whatever grows to less is read
CUT = "incomplete record at the end left out"

Decode = Callable[[Counter[str]], Iterator[CameraEvents]]


def event_file(source: Source, format: str, sensor: tuple[int, int] | None, decode: Decode) -> EventFile:
    """Make a recording of what a format's reader decodes.

    Parameters
    ----------
    decode : takes the counts of repairs, which it adds to; yields events of any number and any integer type, with
        polarities 0 and 1 (see `polarity` for a file that spells them); what it raises comes out of `EventFile.read`

    Notes
    -----
    Repaired and counted: events beyond the sensor are left out. Refused: times below 0, and a file cut so short that no
    event is left.
    """
    repairs: Counter[str] = Counter()

    def read() -> Iterator[CameraEvents]:
        repairs.clear()
        number = 0
        for decoded in decode(repairs):
            number += len(decoded)
            for first in range(0, len(decoded), CHUNK):
                part = slice(first, first + CHUNK)
                slab = CameraEvents(decoded.t[part], decoded.x[part], decoded.y[part], decoded.p[part])
                events = _checked(slab, source.name, sensor, repairs)
                if len(events):
                    yield events
        if repairs[CUT] and not number:
            raise RecordingError(
                f"recording '{source.name}': expected whole events of {format}, found a file that ends within the "
                "first; copy it again"
            )

    return EventFile(source.name, format, sensor, read, repairs)


def _checked(events: CameraEvents, name: str, sensor: tuple[int, int] | None, repairs: Counter[str]) -> CameraEvents:
    t, x, y, p = events.t, events.x, events.y, events.p
    width, height = sensor or (LARGEST, LARGEST)
    if t.min() < 0:
        raise RecordingError(f"recording '{name}': expected times from 0 us, found {t.min()} us")
    if x.max() >= width or y.max() >= height or x.min() < 0 or y.min() < 0:
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        repairs[f"events beyond the {width}x{height} sensor left out"] += int(np.count_nonzero(~inside))
        t, x, y, p = t[inside], x[inside], y[inside], p[inside]
    return CameraEvents(
        t.astype(np.int64, copy=False),
        x.astype(np.int32, copy=False),
        y.astype(np.int32, copy=False),
        p.astype(np.uint8, copy=False),
    )


def records(source: Source, offset: int, size: int, repairs: Counter[str]) -> Iterator[bytes]:
    """Yield what follows an offset, in blocks of at most CHUNK whole records of some bytes each; a rest is counted."""
    with source.open() as stream:
        stream.seek(offset)
        while block := stream.read(size * CHUNK):
            whole = len(block) // size * size
            if whole < len(block):
                repairs[CUT] += 1
            if whole:
                yield block[:whole]


def require_growth(unpacked: int, size: int) -> None:
    """Refuse a file of `size` bytes that claims to unpack to far more than events do; both in bytes."""
    if unpacked > max(GROWTH * size, HARMLESS):
        raise RecordingError(
            f"expected events that unpack to at most {GROWTH} times the {size} bytes of the file, "
            f"found {unpacked} bytes"
        )
