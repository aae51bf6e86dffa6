"""Open a recording of any format, recognised by its content, never by its name."""

from typing import Any

from ..errors import RecordingError, shown
from .aedat2 import open_aedat2
from .aedat3 import open_aedat3
from .aedat4 import open_aedat4
from .array import MAGIC, open_npy
from .dat import open_dat
from .evt import open_evt
from .foreign import is_of_events, name_foreign
from .hdf5 import holds_events, is_hdf5, open_hdf5
from .header import VERSION
from .nmnist import MANY, RECORD, looks_like_nmnist, open_nmnist
from .npz import open_npz
from .prophesee import parse_header
from .recording import CHUNK, EventFile, FrameFile
from .source import Source
from .text import find_layout, open_text

FORMATS = (
    "AEDAT 2.0 of a DVS128 (CIFAR10-DVS)",
    "AEDAT 3.1 (DVS128 Gesture)",
    "AEDAT 4",
    "N-MNIST's .bin",
    "NumPy's .npz or .npy of events or frames",
    "text of t x y p",
    "Prophesee's RAW or DAT",
    "HDF5 of events",
)
READERS = {b"2.0": open_aedat2, b"3.1": open_aedat3, b"4.0": open_aedat4}
ZIP = b"PK\x03\x04", b"PK\x05\x06"


def is_recording(path: Any) -> bool:
    """Tell whether a file is a recording, or means to be one; anything else may be a picture."""
    try:
        recording = Source(path)
        head = recording.head(RECORD * CHUNK)
    except RecordingError:
        return False
    known = head.startswith((b"#!AER-DAT", MAGIC, *ZIP)) or VERSION.match(head) or find_layout(head)
    named = known or is_of_events(head) or parse_header(head)
    return bool(named) or (holds_events(recording) if is_hdf5(head) else looks_like_nmnist(head))


def open_recording(source: Any, name: str | None = None) -> EventFile:
    """Open a recording of an event camera, as `open_recorded` does; frames, which have no events, are refused."""
    recorded = open_recorded(source, name)
    if isinstance(recorded, FrameFile):
        raise RecordingError(
            f"recording '{recorded.name}': expected events, found frames that were counted of some; open the recording "
            "that they are of"
        )
    return recorded


def open_recorded(source: Any, name: str | None = None) -> EventFile | FrameFile:
    """Open a recording of an event camera, or the frames that were counted of one.

    Parameters
    ----------
    source : path, bytes, or binary file that can seek; an open file is left open
    name : for messages; None takes the path

    Raises
    ------
    RecordingError
        it is none of the formats, damaged from the beginning, or unreadable; damage further on is found by `read`
    """
    recording = Source(source, name)
    head = recording.head(RECORD * CHUNK)
    if not head:
        raise RecordingError(f"recording '{recording.name}' is empty")
    if version := VERSION.match(head):
        if version[1] not in READERS:
            known = ", ".join(number.decode() for number in READERS)
            raise RecordingError(
                f"recording '{recording.name}': expected AEDAT of version {known}, found {shown(version[1].decode())}"
            )
        return READERS[version[1]](recording)
    layout = find_layout(head)
    nmnist = looks_like_nmnist(head)
    sure = layout is not None or (nmnist and len(head) >= RECORD * MANY)  # whatever its first bytes are
    if not sure and (foreign := name_foreign(head)):
        raise RecordingError(f"recording '{recording.name}' is {foreign}")
    if header := parse_header(head):
        return (open_dat if header.is_dat else open_evt)(recording, header)
    if is_hdf5(head):
        return open_hdf5(recording)
    if layout:
        return open_text(recording, layout)
    if head.startswith(b"#") and not head.startswith(b"#!"):
        return open_aedat2(recording)  # the official reader needs no version either
    if head.startswith(ZIP):
        return open_npz(recording)
    if head.startswith(MAGIC):
        return open_npy(recording)
    if nmnist:
        return open_nmnist(recording)
    raise RecordingError(
        f"recording '{recording.name}': expected {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, found none of them"
    )
