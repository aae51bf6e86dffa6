"""EVT 2.0, 2.1 and 3.0, the words of Prophesee's RAW files. The four highest bits of a word are its kind.

Times are in microseconds; a word of their high bits comes every few microseconds, and begins again at 0 when it runs
over, which is how the formats are meant: the times go on.

* EVT 2.0, 32 bits: kinds 0 and 1 are an OFF and an ON event: time 6 bits, x 11, y 11. Kind 8: the other 28 of the time.
* EVT 2.1, 64 bits: a half as in EVT 2.0, and another half of which bit k says that there is an event at x + k.
* EVT 3.0, 16 bits: kinds 8 and 6 are the high and the low 12 bits of the time; 0 is a row (y, 11 bits); 2 an event
  (bit 11 polarity, 11 bits x); 3 the same, where a vector begins; 4 and 5 are its next 12 and 8 pixels, a bit each.
  High bits that change set the low ones to 0. Bit 11 of a row, whether this is the second of two cameras, is not read.

Triggers (10), other words (14) and what continues them (7 and 15) are no events, and are skipped. Left out and counted
as repairs: words of any other kind, and events before the first words that tell their time, row or column.
Source: Prophesee, Metavision SDK 5, EVT 2.0, EVT 2.1 and EVT 3.0; OpenEB 5.2, for the low bits and how far a time falls
when it runs over.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from .recording import CHUNK, CameraEvents

EARLY = "events before the first word that tells their time or pixel left out"
UNKNOWN = "words of no known kind left out"
UNTOLD = -(1 << 62)  # below all that a word can tell

ON, TIME_HIGH = 1, 8  # kinds; OFF is 0
ROW, PIXEL, BASE, VECTOR_12, VECTOR_8, TIME_LOW = 0, 2, 3, 4, 5, 6  # of EVT 3.0
KNOWN_2 = np.isin(range(16), (0, ON, TIME_HIGH, 10, 14, 15))
KNOWN_3 = np.isin(range(16), (ROW, PIXEL, BASE, VECTOR_12, VECTOR_8, TIME_LOW, TIME_HIGH, 7, 10, 14, 15))
PIXELS = np.zeros(16, np.int64)  # that a word of EVT 3.0 goes on by
PIXELS[[VECTOR_12, VECTOR_8]] = 12, 8


class Told:
    """What words of some kind told last, at each word; carried from one block of words to the next."""

    def __init__(self) -> None:
        self._last = UNTOLD

    def at(self, tells: np.ndarray, value: np.ndarray) -> np.ndarray:
        """Hold what words tell: bool[n], whether one does, int64[n], what -> int64[n], UNTOLD at first; n > 0."""
        place = np.maximum.accumulate(np.where(tells, np.arange(len(tells)), -1))
        held = np.where(place < 0, self._last, value[place])
        self._last = int(held[-1])
        return held


class HighBits:
    """The high bits of a time, which begin again at 0 when they run over: a fall by half of their range, or more."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._told = Told()
        self._before = UNTOLD
        self._laps = 0

    def at(self, tells: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hold what words tell, as `Told.at`, with the laps -> int64[n], and bool[n], whether a word changed it."""
        shown = self._told.at(tells, value)
        step = np.diff(shown, prepend=self._before)
        self._before = int(shown[-1])
        laps = self._laps + np.cumsum(step <= -(1 << (self._bits - 1)))
        self._laps = int(laps[-1])
        return shown + (laps << self._bits), step != 0


class Evt2:
    """Words of EVT 2.0, or 2.1, one block after the other.

    Parameters
    ----------
    order : '<' or '>', of the bytes of 32 bits
    kind_at : of EVT 2.1, which half of a word holds its kind, 0 or 1; None for EVT 2.0
    """

    def __init__(self, order: str, kind_at: int | None = None) -> None:
        self._unit = np.dtype(f"{order}u4")
        self._kind_at = kind_at
        self.size = 4 if kind_at is None else 8
        self._high = HighBits(28)

    def decode(self, block: bytes, repairs: Counter[str]) -> Iterator[CameraEvents]:
        """Decode whole words; yields at most CHUNK events at a time."""
        halves = np.frombuffer(block, self._unit).astype(np.int64)
        if self._kind_at is None:
            word, valid, most = halves, np.ones(len(halves), np.int64), 1
        else:
            word, valid, most = halves[self._kind_at :: 2], halves[1 - self._kind_at :: 2], 32
        kind = word >> 28
        _count(repairs, UNKNOWN, int(np.count_nonzero(~KNOWN_2[kind])))
        high, _ = self._high.at(kind == TIME_HIGH, word & 0xFFF_FFFF)
        spans = CameraEvents(high << 6 | word >> 22 & 63, word >> 11 & 2047, word & 2047, kind)
        yield from _spread(spans, np.where(kind <= ON, valid, 0), high >= 0, most, repairs)


class Evt3:
    """Words of EVT 3.0, one block after the other."""

    size = 2

    def __init__(self, order: str) -> None:
        self._unit = np.dtype(f"{order}u2")
        self._high = HighBits(12)
        self._low, self._row, self._base, self._polarity = Told(), Told(), Told(), Told()
        self._passed = 0  # pixels of vectors, since the file began

    def decode(self, block: bytes, repairs: Counter[str]) -> Iterator[CameraEvents]:
        """Decode whole words; yields at most CHUNK events at a time."""
        words = np.frombuffer(block, self._unit).astype(np.int64)
        kind, value = words >> 12, words & 0xFFF
        _count(repairs, UNKNOWN, int(np.count_nonzero(~KNOWN_3[kind])))
        high, changed = self._high.at(kind == TIME_HIGH, value)
        low = self._low.at(changed | (kind == TIME_LOW), np.where(kind == TIME_LOW, value, 0))
        row = self._row.at(kind == ROW, value & 2047)

        after = self._passed + np.cumsum(PIXELS[kind])
        passed, self._passed = after - PIXELS[kind], int(after[-1])
        base = self._base.at(kind == BASE, (value & 2047) - passed)  # where it would be had the file begun with it
        polarity = self._polarity.at(kind == BASE, value >> 11)

        alone = kind == PIXEL
        x, p = np.where(alone, value & 2047, base + passed), np.where(alone, value >> 11, polarity)
        valid = np.where(alone, 1, value & (1 << PIXELS[kind]) - 1)
        told = (high >= 0) & (row >= 0) & (alone | (base > UNTOLD))
        yield from _spread(CameraEvents(high << 12 | low, x, row, p), valid, told, 12, repairs)


def _spread(
    spans: CameraEvents, valid: np.ndarray, told: np.ndarray, most: int, repairs: Counter[str]
) -> Iterator[CameraEvents]:
    """Make an event of each bit that is set, bit k of `most` being one at x + k; none of words that are not told."""
    _count(repairs, EARLY, int(np.bitwise_count(valid[~told]).sum()))
    spans, valid = spans.where(told & (valid != 0)), valid[told & (valid != 0)]
    for first in range(0, len(valid), CHUNK // most):
        part = slice(first, first + CHUNK // most)
        at, k = np.nonzero(valid[part, None] >> np.arange(most) & 1)
        at += first
        yield CameraEvents(spans.t[at], spans.x[at] + k, spans.y[at], spans.p[at])


def _count(repairs: Counter[str], what: str, n: int) -> None:
    if n:
        repairs[what] += n
