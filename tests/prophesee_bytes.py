"""Prophesee's formats written word by word, and read word by word: the plain decoders that the readers must equal."""

import struct
from collections import Counter
from collections.abc import Callable, Sequence

from tests.camera_bytes import Event

EARLY = "events before the first word that tells their time or pixel left out"
UNKNOWN = "words of no known kind left out"
WORDS = {"2.0": "<I", "2.1": "<Q", "3.0": "<H"}
Decoded = tuple[list[Event], Counter[str]]


def header(version: str, *lines: str, end: bool = True) -> bytes:
    told = [f"evt {version}", *lines, *(["end"] if end else [])]
    return "".join(f"% {line}\n" for line in told).encode()


def raw(version: str, words: Sequence[int], *lines: str) -> bytes:
    return header(version, *lines) + b"".join(struct.pack(WORDS[version], word) for word in words)


# --- words ------------------------------------------------------------------------------------------------------------


def cd2(t: int, x: int, y: int, p: int) -> int:
    """An event of EVT 2; of its time the lowest six bits."""
    return p << 28 | (t & 63) << 22 | x << 11 | y


def high2(t: int) -> int:
    return 8 << 28 | t >> 6 & 0xFFF_FFFF


def cd21(t: int, x: int, y: int, p: int, valid: int = 1) -> int:
    return cd2(t, x, y, p) << 32 | valid


def high21(t: int) -> int:
    return high2(t) << 32


def high3(t: int) -> int:
    return 0x8000 | t >> 12 & 0xFFF


def low3(t: int) -> int:
    return 0x6000 | t & 0xFFF


def row3(y: int, second: int = 0) -> int:
    return second << 11 | y


def pixel3(x: int, p: int) -> int:
    return 0x2000 | p << 11 | x


def base3(x: int, p: int) -> int:
    return 0x3000 | p << 11 | x


def vector12(valid: int) -> int:
    return 0x4000 | valid


def vector8(valid: int) -> int:
    return 0x5000 | valid


# --- files of events --------------------------------------------------------------------------------------------------


def evt2(events: Sequence[Event]) -> bytes:
    words = [word for event in events for word in (high2(event[0]), cd2(*event))]
    return raw("2.0", words)


def evt21(events: Sequence[Event]) -> bytes:
    words = [word for t, x, y, p in events for word in (high21(t), cd21(t, x & ~31, y, p, 1 << x % 32))]
    return raw("2.1", words, "format EVT21;endianness=little")


def evt3(events: Sequence[Event]) -> bytes:
    """Every other event is one of a vector."""
    words = []
    for i, (t, x, y, p) in enumerate(events):
        words += [high3(t), low3(t), row3(y)]
        words += [base3(x - 8, p), vector8(0), vector12(1)] if i % 2 and x >= 8 else [pixel3(x, p)]
    return raw("3.0", words)


def dat(events: Sequence[Event], *lines: str, kind: bytes = b"\x0c\x08") -> bytes:
    text = "".join(f"% {line}\n" for line in ("Data file containing CD events", "Version 2", *lines)).encode()
    return text + kind + b"".join(struct.pack("<II", t & 0xFFFF_FFFF, p << 28 | y << 14 | x) for t, x, y, p in events)


# --- plain decoders: one word after the other -------------------------------------------------------------------------


class Laps:
    """A counter of some bits, which begins again at 0."""

    def __init__(self, bits: int) -> None:
        self.bits, self.laps, self.shown = bits, 0, -1

    def show(self, value: int) -> None:
        self.laps += self.shown - value >= 1 << (self.bits - 1)
        self.shown = value

    def told(self) -> int:
        return self.laps << self.bits | self.shown


def plain_evt2(words: Sequence[int]) -> Decoded:
    return plain_evt21([word << 32 | 1 if word >> 28 < 2 else word << 32 for word in words])


def plain_evt21(words: Sequence[int]) -> Decoded:
    events: list[Event] = []
    found: Counter[str] = Counter()
    high = Laps(28)
    for word in words:
        kind = word >> 60
        if kind == 8:
            high.show(word >> 32 & 0xFFF_FFFF)
        elif kind in (0, 1):
            for k in range(32):
                if word >> k & 1 and high.shown < 0:
                    found[EARLY] += 1
                elif word >> k & 1:
                    t, x, y = high.told() << 6 | word >> 54 & 63, (word >> 43 & 2047) + k, word >> 32 & 2047
                    events.append((t, x, y, kind))
        elif kind not in (10, 14, 15):
            found[UNKNOWN] += 1
    return events, found


def plain_evt3(words: Sequence[int]) -> Decoded:
    events: list[Event] = []
    found: Counter[str] = Counter()
    high, low, y, base, p = Laps(12), 0, -1, -1, 0

    def emit(x: int, p: int, told: bool = True) -> None:
        if high.shown < 0 or y < 0 or not told:
            found[EARLY] += 1
        else:
            events.append((high.told() << 12 | low, x, y, p))

    for word in words:
        kind, value = word >> 12, word & 0xFFF
        if kind == 0:
            y = value & 2047
        elif kind == 2:
            emit(value & 2047, value >> 11)
        elif kind == 3:
            base, p = value & 2047, value >> 11
        elif kind in (4, 5):
            width = 12 if kind == 4 else 8
            for k in range(width):
                if value >> k & 1:
                    emit(base + k, p, base >= 0)
            base += width if base >= 0 else 0
        elif kind == 6:
            low = value
        elif kind == 8:
            low = low if value == high.shown else 0
            high.show(value)
        elif kind not in (7, 10, 14, 15):
            found[UNKNOWN] += 1
    return events, found


def plain_dat(words: Sequence[int]) -> Decoded:
    """Words of 64 bits, the time in the lower half."""
    events: list[Event] = []
    laps, before, half = 0, -1, 1 << 31
    over = 0
    for word in words:
        t = word & 0xFFFF_FFFF
        step = t - before if before >= 0 else 0
        over += step < -half
        laps = max(0, laps + (step < -half) - (step > half))
        before = t
        events.append((laps << 32 | t, word >> 32 & 0x3FFF, word >> 46 & 0x3FFF, word >> 60))
    return events, Counter({"times beyond 32 bits carried on": over} if over else {})


PLAIN: dict[str, Callable[[Sequence[int]], Decoded]] = {
    "2.0": plain_evt2,
    "2.1": plain_evt21,
    "3.0": plain_evt3,
}
