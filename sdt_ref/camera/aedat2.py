"""AEDAT 2.0 of a DVS128, as CIFAR10-DVS uses it: lines of text, then eight bytes an event, big-endian.

Address u32, then time u32 in microseconds. Of the address, bit 0 is 1 where it became darker, bits 1-7 and 8-14 are
the pixel. Bit 15 marks signals from outside, which show no pixel; other sensors use higher bits too, the DVS128 none.
The axes are those of CIFAR10-DVS, exchanged and turned so that its pictures stand upright, as in the official code.
Times are unsigned, so they may exceed 2^31; when they run over 2^32 they go on here, and this is counted as a repair.
Source: iniVation, AEDAT 2.0; spikingjelly 0.0.0.0.12, CIFAR10DVS.load_origin_data, which keeps signals from outside and
lets times run over.
"""

import re
from collections import Counter
from collections.abc import Iterator

import numpy as np

from ..errors import RecordingError, shown
from .checking import event_file, records
from .clock import Clock
from .header import read_header
from .recording import CameraEvents, EventFile
from .source import Source

RECORD = 8
SENSOR = 128, 128
PIXEL = 1 << 15  # addresses of pixels are below
CHIP = re.compile(r"#\s*(?:AEChip|-?Source \d+)\s*:\s*(.*)", re.IGNORECASE)
ELSEWHERE = re.compile(r"\b(?:c?davis(?: fx)?\w*\d|dvs(?!128)\d{3}|dvxplorer|atis\b|cochlea)\w*", re.IGNORECASE)
KNOWN = re.compile(r"dvs128|tmpdiff128", re.IGNORECASE)  # jAER's names; the second was the prototype's


def open_aedat2(source: Source) -> EventFile:
    """Open AEDAT 2.0. Raises RecordingError when its header or its addresses are another sensor's."""
    lines, offset = read_header(source)
    other = next(filter(None, map(_other_sensor, lines)), None)
    if other is not None:
        raise RecordingError(
            f"recording '{source.name}': expected AEDAT 2.0 of a DVS128, found the header of another sensor, "
            f"{shown(other)}"
        )
    for block in records(source, offset, RECORD, Counter()):
        strange = int(np.count_nonzero(np.frombuffer(block, ">u4")[::2] >= PIXEL))
        if 2 * strange > len(block) // RECORD:
            raise RecordingError(
                f"recording '{source.name}': expected DVS128 addresses below {PIXEL}, found larger ones in {strange} "
                f"of the first {len(block) // RECORD} events; it is of another sensor or no AEDAT 2.0"
            )
        break  # at most CHUNK events tell enough

    def decode_all(repairs: Counter[str]) -> Iterator[CameraEvents]:
        clock = Clock(32)
        for block in records(source, offset, RECORD, repairs):
            pairs = np.frombuffer(block, ">u4").reshape(-1, 2)
            t, laps = clock.unwrap(pairs[:, 1].astype(np.int64))
            if laps:
                repairs["times beyond 32 bits carried on"] += laps
            address = pairs[:, 0].astype(np.uint32)
            events = decode(address, t)
            if address.max() >= PIXEL:
                events = events.where(address < PIXEL)
                repairs["signals from outside, without a pixel, left out"] += len(address) - len(events)
            yield events

    return event_file(source, "AEDAT 2.0", SENSOR, decode_all)


def decode(address: np.ndarray, t: np.ndarray) -> CameraEvents:
    """Decode addresses, uint32[n], of events at times t, int64[n]."""
    a = address.view(np.int32)  # bits above 15 are masked
    return CameraEvents(t, 127 - (a >> 8 & 127), 127 - (a >> 1 & 127), (1 - (a & 1)).astype(np.uint8))


def _other_sensor(line: str) -> str | None:
    """What a line of the header says to have recorded, unless that is a DVS128, or it says nothing of it."""
    if line.startswith("#!") or "<" in line:  # jAER also writes settings, in XML, of chips that did not record this
        return None
    named = CHIP.match(line)
    if named:
        chip = named[1].strip()
        return None if not chip or chip.lower() in ("null", "none") or KNOWN.search(chip) else chip
    found = ELSEWHERE.search(line)
    return found[0] if found and not KNOWN.search(line) else None
