"""Arrays that NumPy stored: structured ones, rows, columns, and frames; of any type and either byte order."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdt_ref.camera.frames import fit, integrate, prepare_stored
from sdt_ref.camera.opening import is_recording, open_recorded, open_recording
from sdt_ref.camera.recording import CHUNK, FrameFile
from sdt_ref.errors import RecordingError
from sdt_ref.weights.config import Preprocessing
from tests import camera_bytes as made
from tests.camera_bytes import Event, listed
from tests.equality import assert_same
from tests.recordings import some_events

EVENTS = [(10, 1, 2, 1), (20, 3, 4, 0), (30, 5, 6, 1)]
TONIC = "x:<i2 y:<i2 t:<i8 p:?"


def test_structured_literal() -> None:
    """Bytes by hand: magic, version, size of the header, the header; then x, y, t, p of 13 bytes an event."""
    header = (
        b"{'descr': [('x', '<i2'), ('y', '<i2'), ('t', '<i8'), ('p', '|b1')], 'fortran_order': False, 'shape': (2,)}\n"
    )
    events = struct.pack("<hhq?", 3, 4, 70_000, True) + struct.pack("<hhq?", 33, 0, 70_001, False)
    recording = open_recording(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + events)
    assert (recording.format, recording.sensor) == ("npy", None)
    assert listed(recording) == [(70_000, 3, 4, 1), (70_001, 33, 0, 0)]
    assert not recording.repairs


def test_rows_literal() -> None:
    header = b"{'descr': '>u2', 'fortran_order': False, 'shape': (2, 4)}\n"
    content = b"\x93NUMPY\2\0" + struct.pack("<I", len(header)) + header + struct.pack(">8H", 5, 1, 2, 1, 9, 3, 4, 0)
    assert listed(open_recording(content)) == [(5, 1, 2, 1), (9, 3, 4, 0)]
    columns = content.replace(b"False", b"True ").replace(struct.pack(">8H", 5, 1, 2, 1, 9, 3, 4, 0), struct.pack(">8H", 5, 9, 1, 3, 2, 4, 1, 0))  # fmt: skip
    assert listed(open_recording(columns)) == [(5, 1, 2, 1), (9, 3, 4, 0)]


@pytest.mark.parametrize(
    "kind",
    [
        TONIC,
        "t:<u8 x:<u2 y:<u2 on:?",  # the package aedat
        "x:<u2 y:<u2 p:<i2 t:<i8",  # metavision
        "timestamp:>i4 polarity:i1 y:u1 x:u1",
        "label:<f4 t:<f8 x:<f4 y:<f2 p:<f8",
    ],
)
@pytest.mark.parametrize("pack", ["npy", "npz", "deflated"])
def test_structured_arrays_of_any_types(kind: str, pack: str) -> None:
    array = made.structured(EVENTS, kind.replace("timestamp", "t").replace("polarity", "p").replace("on:", "p:"))
    renamed = [field.split(":")[0] for field in kind.split()]
    array.dtype.names = tuple(renamed)
    if "f8" in kind:
        array["t"] *= 1000  # or floats of less than a millisecond, which are unclear
    content = {
        "npy": lambda: made.npy(array),
        "npz": lambda: made.npz(events=array, label=np.array(3)),
        "deflated": lambda: made.npz(np.savez_compressed, arr_0=array),
    }[pack]()
    expected = [(t * 1000 if "f8" in kind else t, x, y, p) for t, x, y, p in EVENTS]
    recording = open_recording(content)
    assert (recording.format, listed(recording), dict(recording.repairs)) == (
        pack[:3].replace("def", "npz"),
        expected,
        {},
    )


def test_padded_and_nested_types() -> None:
    padded = np.zeros(3, np.dtype([("t", "<i8"), ("p", "?"), ("x", "<i4"), ("y", "<i4")], align=True))
    for name, column in zip("txyp", np.array(EVENTS).T, strict=True):
        padded[name] = column
    assert listed(open_recording(made.npy(padded))) == EVENTS
    extra = np.zeros(3, [*padded.dtype.descr[:1], ("more", "<f4", (3, 3)), ("x", "u1"), ("y", "u1"), ("p", "u1")])
    for name in "txyp":
        extra[name] = padded[name]
    assert listed(open_recording(made.npy(extra))) == EVENTS


@given(
    made.lists_of_events(1 << 15, 1 << 15, 53),
    st.sampled_from([TONIC, "p:<i4 t:>u8 x:<u2 y:<f8", "y:>i8 x:>i8 t:<i8 p:u1"]),
)
def test_structured_round_trip(events: list[Event], kind: str) -> None:
    for content in (made.npy(made.structured(events, kind)), made.npz(made=made.structured(events, kind))):
        assert listed(open_recording(content)) == events


@given(made.lists_of_events(1 << 15, 1 << 15, 50, least=1), st.booleans(), st.sampled_from(["<i8", ">i8", "<u8"]))
def test_rows_round_trip(events: list[Event], fortran: bool, kind: str) -> None:
    array = np.array(events).astype(kind)
    array = np.asfortranarray(array) if fortran else array
    for content in (made.npy(array), made.npz(array=array), made.npz(np.savez_compressed, array=array)):
        assert listed(open_recording(content)) == events


@pytest.mark.parametrize("fortran", [False, True])
def test_rows_are_read_in_chunks(fortran: bool) -> None:
    n = CHUNK + 7
    array = np.stack([np.arange(n), np.arange(n) % 34, np.arange(n) % 33, np.arange(n) % 2], axis=1)
    array = np.asfortranarray(array) if fortran else array
    for content in (
        made.npy(array),
        made.npz(np.savez_compressed, arr_0=array),
        made.npz(e=array, sensor=np.array([34, 33])),
    ):
        recording = open_recording(io.BytesIO(content))
        for _ in range(2):
            assert [len(chunk) for chunk in recording.read()] == [CHUNK, 7]
        read = made.read(recording)
        assert_same(np.stack([read.t, read.x, read.y, read.p.astype(np.int64)], axis=1), array, "events")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 3)), r"expected events \(.*\) or frames \(T x 2 x H x W\), found an array of shape \(5, 3\)"),
        (np.zeros((4, 5)), r"found an array of shape \(4, 5\)"),
        (np.zeros(5), r"found an array of shape \(5,\)"),
        (np.zeros(()), r"found an array of shape \(\)"),
        (np.zeros((2, 3, 8, 8)), r"found an array of shape \(2, 3, 8, 8\)"),
        (np.zeros((0, 2, 8, 8)), r"found an array of shape \(0, 2, 8, 8\)"),
        (np.zeros((5, 4), complex), "expected numbers in the array, found complex128"),
        (np.array([["1"] * 4] * 5), "expected numbers in the array, found <U1"),
        (np.zeros((5, 4), "M8[us]"), "expected numbers in the array, found datetime64"),
        (np.zeros(5, [("t", "i8"), ("x", "i2")]), "expected fields t, x, y and p, found 't', 'x'"),
        (np.zeros(5, [("t", "i8"), ("x", "i2"), ("y", "i2"), ("p", "S1")]), "expected numbers in field p, found |S1"),
        (np.zeros(5, [("t", "i8"), ("x", "i2", (2,)), ("y", "i2"), ("p", "?")]), "expected numbers in field 'x', found"),
        (np.zeros((5, 1), [("t", "i8"), ("x", "i2"), ("y", "i2"), ("p", "?")]), r"expected one axis of events of at most 256 bytes, found shape \(5, 1\)"),
        (np.zeros(5, [("t", "i8"), ("x", "i2"), ("y", "i2"), ("p", "?"), ("picture", "u1", (300,))]), "of 313 bytes"),
        (np.zeros(5, [("ts", "i8"), ("time", "i8"), ("x", "i2"), ("y", "i2"), ("p", "?")]), "one column of t, found 'ts' and 'time'"),
    ],
)  # fmt: skip
def test_arrays_of_anything_else_are_refused(array: np.ndarray, message: str) -> None:
    for content in (made.npy(array), made.npz(array=array)):
        with pytest.raises(RecordingError, match=message) as caught:
            listed(open_recording(content))
        assert "\n" not in str(caught.value)
        assert str(caught.value).count("recording '") == 1


def test_python_s_objects_are_never_read() -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([{"t": [1]}], object), allow_pickle=True)
    with pytest.raises(RecordingError, match="found objects of Python, which are never read"):
        open_recording(stream.getvalue())
    fields = np.zeros(3, [("t", "i8"), ("x", "i2"), ("y", "i2"), ("p", "?"), ("more", object)])
    stream = io.BytesIO()
    np.save(stream, fields, allow_pickle=True)
    with pytest.raises(RecordingError, match="found objects of Python, which are never read"):
        open_recording(stream.getvalue())


def test_more_or_fewer_bytes_than_the_header_says() -> None:
    for content in (made.npy(np.array(EVENTS)), made.npy(made.structured(EVENTS))):
        for changed in (content[:-1], content + b"\0", content[:-13]):
            with pytest.raises(RecordingError, match=r"as its header says, found \d+ bytes"):
                open_recording(changed)
        for n in (6, 7, 9, 10, 20, 80):
            with pytest.raises(RecordingError, match=r"is a damaged npy: .*; copy it again"):
                open_recording(content[:n])


# --- frames -----------------------------------------------------------------------------------------------------------


def counts(kind: str = "<f8", side: int = 34) -> np.ndarray:
    frames = integrate(open_recording(made.nmnist(some_events())), 5, "number", (34, 34)).astype(kind)
    return np.pad(frames, ((0, 0), (0, 0), (0, side - 34), (0, side - 34)))


@pytest.mark.parametrize("kind", ["<f8", ">f4", "<f2", "<i8", "u1", ">i2"])
def test_frames_are_taken_as_they_are(kind: str) -> None:
    frames = counts(kind)
    expected = np.pad(counts("<f4"), ((0, 0), (0, 0), (1, 1), (1, 1)))
    for content in (
        made.npz(frames=frames),
        made.npz(np.savez_compressed, frames=frames, label=np.array([3])),
        made.npz(arr_0=frames),
        made.npy(frames),
        made.npy(np.asfortranarray(frames)),
    ):
        stored = open_recorded(content)
        assert isinstance(stored, FrameFile)
        assert (stored.shape, stored.sensor, stored.format) == ((5, 2, 34, 34), (34, 34), "frames")
        assert_same(prepare_stored(stored, Preprocessing(36, frames=True, sensor=34)), expected, kind)
        assert_same(prepare_stored(stored, Preprocessing(36, frames=True, sensor=34), 5), expected, kind)


@pytest.mark.parametrize("antialias", [False, True])
def test_frames_are_fitted_as_events_are(antialias: bool) -> None:
    """Halved from 128 pixels, as CIFAR10-DVS is."""
    frames = np.random.default_rng(0).poisson(0.7, (3, 2, 128, 128))
    how = Preprocessing(64, frames=True, sensor=128, antialias=antialias)
    stored = open_recorded(made.npz(frames=frames.astype(np.float64)))
    assert isinstance(stored, FrameFile)
    assert_same(prepare_stored(stored, how), fit(frames, how), "frames")


def changed(**places: Any) -> np.ndarray:
    frames = counts()
    frames[0, 0, 0, 0] = places["value"]
    return frames


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (changed(value=np.nan), "expected counts of events from 0 to 16777216, found nan to nan"),
        (changed(value=np.inf), "found 0.0 to inf"),
        (changed(value=-1), "found -1.0 to"),
        (changed(value=2**24 + 1), "to 16777217.0"),
        (counts() * 0, "expected events, found none in any frame"),
        (counts(side=35), "expected a sensor of 34x34 pixels, which the weights read, found 35x35"),
        (np.repeat(counts(), 820, axis=0), "expected at most 4096 frames, found 4100 that were counted before"),
    ],
)
def test_frames_that_are_none_are_refused(frames: np.ndarray, message: str) -> None:
    stored = open_recorded(made.npz(frames=frames), "f.npz")
    assert isinstance(stored, FrameFile)
    with pytest.raises(RecordingError, match=f"^recording 'f.npz': .*{message}") as caught:
        prepare_stored(stored, Preprocessing(36, frames=True, sensor=34))
    assert "\n" not in str(caught.value)


def test_frames_cannot_be_cut_once_more() -> None:
    stored = open_recorded(made.npz(frames=counts()), "f.npz")
    assert isinstance(stored, FrameFile)
    how = Preprocessing(36, frames=True, sensor=34)
    with pytest.raises(
        RecordingError, match="expected 4 frames, found 5 that were counted before; leave out --time-steps"
    ):
        prepare_stored(stored, how, 4)
    for split in ("number", "time"):
        with pytest.raises(RecordingError, match=f"expected events, to split them by {split}, found frames"):
            prepare_stored(stored, how, 5, split)


def test_frames_are_no_events(tmp_path: Any) -> None:
    (tmp_path / "f.npy").write_bytes(made.npy(counts()))
    assert is_recording(tmp_path / "f.npy")
    with pytest.raises(RecordingError, match=r"f.npy': expected events, found frames that were counted of some"):
        open_recording(tmp_path / "f.npy")


def test_events_in_an_npz_come_before_frames() -> None:
    """Such a file was read as events before."""
    assert listed(open_recording(made.npz(**made.columns(EVENTS), frames=counts()))) == EVENTS
