"""Arrays, frames and texts that are damaged: refused in one line, or read as their bytes say, or told. Never a silent change."""

import io
import re
import tracemalloc
import warnings
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sdt_ref.camera.opening import open_recorded
from sdt_ref.camera.recording import CHUNK, FrameFile, survey
from sdt_ref.errors import RecordingError
from tests import camera_bytes as made
from tests.camera.test_damage import Failing, edited
from tests.camera_bytes import Event, listed
from tests.recordings import some_events

EVENTS = some_events(12)
ROWS = np.array(EVENTS)
FRAMES = np.arange(2 * 2 * 3 * 3).reshape(2, 2, 3, 3)
MINUS = [(t, x, y, 2 * p - 1) for t, x, y, p in EVENTS]
SECONDS = "".join(f"{t / 1e6:.6f} {x} {y} {p}\n" for t, x, y, p in EVENTS).encode()

SEEDS: dict[str, bytes] = {
    "npz": made.npz(**made.columns(EVENTS)),
    "npz of frames": made.npz(frames=FRAMES.astype(np.float64)),
    "npz of one array, deflated": made.npz(np.savez_compressed, events=made.structured(EVENTS)),
    "npy, structured": made.npy(made.structured(EVENTS)),
    "npy, structured, -1 and 1": made.npy(made.structured(MINUS, "t:<u4 x:<i2 y:<i2 p:i1")),
    "npy of rows": made.npy(ROWS.astype("<i4")),
    "npy of rows, floats": made.npy(ROWS.astype("<f4")),
    "npy of columns": made.npy(np.asfortranarray(ROWS.astype("<i4"))),
    "npy of frames": made.npy(FRAMES.astype("u1")),
    "text": made.text(EVENTS),
    "text in seconds": SECONDS,
    "text with a sensor": b"34 34\n" + made.text(MINUS),
    "csv": made.text(EVENTS, "xytp", ",", "x,y,t,p\n"),
    "csv in another order": made.text(MINUS, "xypt", ","),
    "text with names in a comment": made.text(EVENTS, "pytx", "\t", "# p y t x\n"),
}

# --- what the bytes say, read once more in the plainest way ------------------------------------------------------------

KNOWN = {
    "t": "t ts time times timestamp timestamps",
    "x": "x xs",
    "y": "y ys",
    "p": "p ps pol pols polarity polarities on",
}
NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def by_hand(content: bytes) -> np.ndarray | list[Event]:
    """Frames, or events with whole times and polarities 0 and 1; raises anything where the bytes say none."""
    if content.startswith(b"\x93NUMPY"):
        return _of_array(np.load(io.BytesIO(content), allow_pickle=False))
    if content.startswith(b"PK"):
        with np.load(io.BytesIO(content), allow_pickle=False) as pack:
            if places := _places(pack.files):
                return _events(*(pack[pack.files[place]].tolist() for place in places))
            return _of_array(pack["frames" if "frames" in pack.files else pack.files[0]])
    return _of_text(content)


def _of_array(array: np.ndarray) -> np.ndarray | list[Event]:
    if array.ndim == 4:
        return array
    if array.dtype.names:
        return _events(*(array[array.dtype.names[place]].tolist() for place in _places(array.dtype.names) or ()))
    return _events(*array.T.tolist())


def _of_text(content: bytes) -> list[Event]:
    names: list[str] = []
    rows: list[list[Decimal | int]] = []
    sized = False
    for line in re.split(rb"[\r\n]", content.removeprefix(b"\xef\xbb\xbf")):
        words = re.split(rb"[\s,;]+", line.strip(b" \t\x0b\x0c,;"))
        if words == [b""]:
            continue
        if words[0][:1] in (b"#", b"%"):
            found = _names(line.strip()[1:])
            names = found if not rows and _places(found) else names
        elif all(map(NUMBER.fullmatch, words)):
            if len(words) == 2 and not rows and not sized:
                sized = True
                continue
            rows.append([int(word) if re.fullmatch(rb"[+-]?\d+", word) else Decimal(word.decode()) for word in words])
        elif not rows:
            names = _names(line)
        else:
            raise ValueError(line)
    if not rows:
        return []
    if len(set(map(len, rows))) > 1:
        raise ValueError("rows")
    places = _places(names) if len(names) == len(rows[0]) else None
    if places is None and len(rows[0]) != 4:
        raise ValueError("columns")
    return _events(*([row[place] for row in rows] for place in places or (0, 1, 2, 3)))


def _names(line: bytes) -> list[str]:
    """Between blanks only where nothing else is between them."""
    names = re.split(rb"[,;\t]", line.strip()) if re.search(rb"[,;\t]", line) else line.split()
    return [name.strip(b" \"'").decode("utf-8", "replace") for name in names]


def _places(names: Any) -> list[int] | None:
    exact = [name if name in KNOWN else re.sub(r"^[\W_]+|[\W_]+$", "", name).lower() for name in names]
    places = [next((k for k, name in enumerate(exact) if name in KNOWN[key].split()), None) for key in KNOWN]
    return None if None in places else places  # type: ignore[return-value]


def _events(t: list[Any], x: list[Any], y: list[Any], p: list[Any]) -> list[Event]:
    if len({len(t), len(x), len(y), len(p)}) != 1 or not all(int(value) == value for value in (*x, *y)):
        raise ValueError("columns")
    if not all(int(value) == value for value in t):
        t = [round(Decimal(value) * 1_000_000) for value in t]
    called = sorted(set(p))
    if len(called) > 2 or (len(called) == 1 and called[0] not in (0, 1)):
        raise ValueError("polarities")
    on = called[1] if len(called) == 2 else 1
    return [(int(a), int(b), int(c), int(d == on)) for a, b, c, d in zip(t, x, y, p, strict=True)]


# --- the campaign -------------------------------------------------------------------------------------------------------

LIKELY = st.text("0123456789.-+e,; \t\n#%txyp_<>ifub[]()'", min_size=1, max_size=2).map(str.encode)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["put"] * 6 + ["cut", "drop"]), st.integers(0, 2000), LIKELY | st.binary(min_size=1, max_size=8)
    ),
    min_size=1,
    max_size=3,
)
MOST_MEMORY = 4_000_000  # bytes, for files of less than 2 kB


def require_no_silent_change(content: bytes) -> None:
    """Refused, or what the plainest reading of the same bytes finds, or told in the repairs."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            recorded = open_recorded(content)
            if isinstance(recorded, FrameFile):
                expected = by_hand(content)
                assert isinstance(expected, np.ndarray)
                assert np.array_equal(recorded.read(), expected)
                return
            events = listed(recorded)
        except RecordingError as error:
            assert "\n" not in str(error)  # noqa: PT017 - most contents are read
            assert "\x1b" not in str(error)  # noqa: PT017
            return
    if recorded.format not in ("npz", "npy", "text"):  # damage made another format of it
        return
    told = {what for what in recorded.repairs if not what.startswith("polarities ")}
    if any(what.startswith(("columns taken as", "times taken as")) for what in told):
        return
    try:
        expected = by_hand(content)
    except (ValueError, InvalidOperation, IndexError, OverflowError):
        assert told, "read, and neither told nor to be read by hand"
        return
    assert isinstance(expected, list)
    if told:  # some were left out
        left = iter(expected)
        assert all(event in left for event in events)
    else:
        assert events == expected


@pytest.mark.parametrize("name", SEEDS)
def test_the_seeds_are_sound(name: str) -> None:
    """What is not damaged is read, and by hand it is the same: else the campaign would prove nothing."""
    recorded = open_recorded(SEEDS[name])
    expected = by_hand(SEEDS[name]) if name != "csv in another order" else EVENTS
    if isinstance(recorded, FrameFile):
        assert np.array_equal(recorded.read(), expected)
    else:
        assert listed(recorded) == expected == EVENTS
    require_no_silent_change(SEEDS[name])


@pytest.mark.campaign
@settings(max_examples=12_000)
@given(st.sampled_from(sorted(SEEDS)), EDITS)
@example("text", [("put", 3, b"_")])
@example("text", [("put", 0, b"\xef\xbb\xbf")])
def test_no_damage_changes_events_in_silence(name: str, edits: list[tuple[str, int, bytes]]) -> None:
    tracemalloc.start()
    try:
        require_no_silent_change(edited(SEEDS[name], edits))
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.campaign
@settings(max_examples=1_000)
@given(
    st.sampled_from([b"\x93NUMPY\1\0", b"1 2 3 1\n", b"t,x,y,p\n", b"# x y t p\n", b"34 34\n"]),
    LIKELY | st.binary(max_size=99),
)
def test_any_bytes_after_a_beginning(beginning: bytes, rest: bytes) -> None:
    require_no_silent_change(beginning + rest)


# --- disks and memory ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SEEDS)
def test_a_disk_that_fails(name: str) -> None:
    disk = Failing(SEEDS[name])
    disk.fails = True
    with pytest.raises(RecordingError, match=r"cannot be read: Input/output error"):
        open_recorded(disk)
    disk.fails = False
    recorded = open_recorded(disk)
    disk.fails = True
    with pytest.raises(RecordingError, match=r"cannot be read: Input/output error|is a damaged np[yz]"):
        recorded.read() if isinstance(recorded, FrameFile) else survey(recorded)


def large_files(folder: Path) -> Iterator[tuple[Path, int]]:
    n = 3_000_000  # 96 MB
    for order in ("False", "True "):
        path = folder / f"rows{order}.npy"
        header = f"{{'descr': '<i8', 'fortran_order': {order}, 'shape': ({n}, 4)}}\n".encode()
        with path.open("wb") as file:
            file.write(b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header)
            file.truncate(10 + len(header) + 32 * n)
        yield path, n
    path = folder / "structured.npz"
    path.write_bytes(
        made.npz(np.savez_compressed, events=np.zeros(20 * CHUNK, "i8,i8,i8,i8").astype([(c, "i8") for c in "txyp"]))
    )
    yield path, 20 * CHUNK
    path = folder / "events.txt"
    path.write_bytes(b"".join(b"%d 100 100 %d\n" % (k, k % 2) for k in range(1_000_000, 1_300_000)))
    yield path, 300_000


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    for path, events in large_files(tmp_path):
        tracemalloc.start()
        recorded = open_recorded(path)
        assert not isinstance(recorded, FrameFile)
        assert survey(recorded).events == events, path
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(path.name, events, f"{peak / 1e6:.1f} MB")
        assert peak < 8e6, path
