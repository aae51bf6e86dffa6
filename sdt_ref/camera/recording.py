"""What a recording is, whatever wrote it: events of four columns, in the order of the file, a chunk at a time.

Or frames, where someone has counted the events and kept nothing else.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

CHUNK = 1 << 16  # events in memory at a time
TAKEN = " taken as "  # in the words of a repair that mends nothing, but says how something was understood


@dataclass(frozen=True)
class CameraEvents:
    """Some events of a recording, in the order of the file; sorted by time or not, as stored.

    Attributes
    ----------
    t : int64[n], microseconds
    x, y : int32[n], pixels: column from the left, row from the top
    p : uint8[n], polarity: 1 where it became brighter (ON), 0 where darker (OFF)
    """

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.t)

    def where(self, mask: np.ndarray) -> Self:
        """Return the events where the mask is set."""
        return type(self)(self.t[mask], self.x[mask], self.y[mask], self.p[mask])


@dataclass(frozen=True)
class EventFile:
    """A recording that can be read, from its beginning, any number of times.

    Attributes
    ----------
    name : of the file, for messages
    format : such as 'AEDAT 2.0'
    sensor : width and height in pixels, as the file or the format gives them; None where neither does
    read : opens the file and yields its events in chunks of at most CHUNK
    repairs : what the last reading mended, or took for something, in words, and how often; such as 'events beyond the
        sensor left out', 'polarities -1 and 1 taken as OFF and ON'
    path : of the file that a trial is cut out of
    """

    name: str
    format: str
    sensor: tuple[int, int] | None
    read: Callable[[], Iterator[CameraEvents]]
    repairs: Counter[str] = field(default_factory=Counter)
    path: Path | None = None


@dataclass(frozen=True)
class FrameFile:
    """Frames that were counted of a recording before, without the times of its events.

    Attributes
    ----------
    name : of the file, for messages
    shape : T, 2, H, W
    read : opens the file and returns what it holds, of that shape: whole numbers or float64, 0 or more and not all 0
    """

    name: str
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]
    format: str = "frames"

    @property
    def sensor(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.shape[3], self.shape[2]


@dataclass(frozen=True)
class Survey:
    """What one reading of a recording found.

    Attributes
    ----------
    events, on : number of events, and of those with polarity 1
    first, last : smallest and largest time, microseconds
    backwards : events that are earlier than the one before them in the file
    """

    events: int
    on: int
    first: int
    last: int
    backwards: int

    @property
    def duration(self) -> int:
        """Microseconds from the first event to the last."""
        return self.last - self.first


def survey(recording: EventFile) -> Survey:
    """Read a recording once, and count; a recording without events has all numbers 0."""
    events = on = backwards = first = last = 0
    before: int | None = None
    for chunk in recording.read():
        if not len(chunk):
            continue
        t = chunk.t
        first, last = (int(t.min()), int(t.max())) if before is None else (min(first, t.min()), max(last, t.max()))
        backwards += int(np.count_nonzero(np.diff(t) < 0)) + (before is not None and int(t[0]) < before)
        before = int(t[-1])
        events += len(chunk)
        on += int(np.count_nonzero(chunk.p))
    return Survey(events, on, int(first), int(last), backwards)
