"""HDF5 of events as programs write it; what is elsewhere, too large or not events is refused, and other HDF5 keeps its meaning."""

import importlib.util
import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdt_ref import errors
from sdt_ref.camera.hdf5 import SIGNATURE
from sdt_ref.camera.opening import is_recording, open_recording
from sdt_ref.camera.recording import CHUNK, survey
from sdt_ref.hdf5 import filters
from sdt_ref.weights import shipped_path
from sdt_ref.weights.file import DEFAULT, DEFAULT_OF_RECORDINGS
from tests import camera_bytes as made
from tests.camera_bytes import Event, listed

EVENTS = [(10, 1, 2, 1), (20, 3, 4, 0), (30, 5, 6, 1)]
TYPES = {"t": "u4", "x": "u2", "y": "u2", "p": "u1"}  # DSEC's
Make = Callable[[Any], object]


def written(make: Make, **settings: Any) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w", **settings) as file:
        make(file)
    return stream.getvalue()


def arrays(events: list[Event] = EVENTS, group: str = "events", **settings: Any) -> Make:
    def make(file: Any) -> None:
        for name, column in made.columns(events).items():
            file.create_dataset(f"{group}/{name}", data=column.astype(TYPES[name]), **settings)

    return make


def dsec(events: list[Event], offset: int, **settings: Any) -> bytes:
    def make(file: Any) -> None:
        arrays(events, **settings)(file)
        file["t_offset"] = np.int64(offset)
        file["ms_to_idx"] = np.arange(9)

    return written(make)


def compound(events: list[Event] = EVENTS) -> np.ndarray:
    """As Prophesee lays it out."""
    rows = np.zeros(len(events), [("x", "u2"), ("y", "u2"), ("p", "i2"), ("t", "i8")])
    for name, column in made.columns(events).items():
        rows[name] = column
    return rows


def changed(**replaced: Any) -> bytes:
    """DSEC's arrays, of which some are others; None leaves one out."""

    def make(file: Any) -> None:
        arrays()(file)
        for name, value in replaced.items():
            del file[f"events/{name}"]
            if callable(value):
                value(file["events"], name)
            elif value is not None:
                file[f"events/{name}"] = value

    return written(make)


def refused(content: bytes | Path) -> str:
    with pytest.raises(errors.RecordingError) as caught:
        listed(open_recording(content, "r"))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("recording 'r'")
    return str(caught.value)


# --- as programs write it ---------------------------------------------------------------------------------------------


def test_dsec_adds_its_offset() -> None:
    recording = open_recording(dsec(EVENTS, 49_000_000_000))
    assert listed(recording) == [(49_000_000_000 + t, x, y, p) for t, x, y, p in EVENTS]
    assert (recording.format, recording.sensor, recording.repairs) == ("HDF5", None, {})
    assert listed(open_recording(dsec(EVENTS, -10)))[0] == (0, 1, 2, 1)


def named(file: Any, names: str, group: str = "") -> None:
    for name, column in zip(names.split(), made.columns(EVENTS).values(), strict=True):
        file[group + name] = column


AS_WRITTEN: dict[str, Make] = {
    "at the top": arrays(group=""),
    "at the top, other names": lambda file: named(file, "ts xs ys ps"),
    "names in full": lambda file: named(file, "timestamps x y polarity", "events/"),
    "deep": arrays(group="prophesee/left"),
    "fields of Prophesee": lambda file: file.create_dataset("CD/events", data=compound(), chunks=(2,)),
    "fields beside triggers": lambda file: [
        file.create_dataset("CD/events", data=compound()),
        file.create_dataset("EXT_TRIGGER/events", data=np.zeros(2, [("p", "i2"), ("t", "i8"), ("id", "i2")])),
    ],
    "v2e's four columns": lambda file: file.create_dataset("events", data=np.array(EVENTS, "u4")),
    "big-endian": lambda file: [file.create_dataset(f"events/{k}", data=v.astype(">i8")) for k, v in made.columns(EVENTS).items()],
    "whole floats of x": lambda file: [file.create_dataset(k, data=v.astype("f4" if k in "xy" else "i8")) for k, v in made.columns(EVENTS).items()],
    "gzip": arrays(compression="gzip", shuffle=True, fletcher32=True, chunks=(2,)),
    "LZF": arrays(compression="lzf", chunks=(2,)),
    "a soft link elsewhere": lambda file: [arrays()(file), file.__setitem__("again", h5py.SoftLink("/events"))],
}  # fmt: skip


@pytest.mark.parametrize("name", AS_WRITTEN)
@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_other_layouts(name: str, version: str) -> None:
    content = written(AS_WRITTEN[name], libver=version)
    assert is_recording(content)
    recording = open_recording(content)
    assert listed(recording) == EVENTS
    assert recording.repairs == ({"columns taken as t, x, y, p": 3} if name == "v2e's four columns" else {})


@pytest.mark.parametrize("name", ["Blosc", "Blosc2", "Zstd", "LZ4", "Bitshuffle", "BZip2"])
def test_filters_of_hdf5plugin(name: str) -> None:
    hdf5plugin = pytest.importorskip("hdf5plugin")
    filtered = dsec(EVENTS, 5, chunks=(2,), **getattr(hdf5plugin, name)())
    assert listed(open_recording(filtered)) == [(t + 5, x, y, p) for t, x, y, p in EVENTS]


def test_polarities_and_times_are_as_in_other_files_of_columns() -> None:
    p = np.array([1, -1, 1], "i1")
    recording = open_recording(changed(p=p))
    assert listed(recording) == EVENTS
    assert recording.repairs == {"polarities -1 and 1 taken as OFF and ON": 3}
    assert listed(open_recording(changed(p=np.array([True, False, True])))) == EVENTS
    assert "expected two polarities" in refused(changed(p=np.array([0, 1, 2])))
    recording = open_recording(changed(t=np.array([1e-5, 2e-5, 3e-5])))
    assert listed(recording) == EVENTS
    assert recording.repairs == {"times taken as seconds": 3}


def test_the_sensor_is_what_attributes_say() -> None:
    def make(name: str, value: Any) -> bytes:
        return written(lambda file: [arrays()(file), file.attrs.__setitem__(name, value)])

    assert open_recording(make("geometry", "1280x720")).sensor == (1280, 720)
    assert open_recording(make("geometry", np.bytes_("640x480"))).sensor == (640, 480)
    assert open_recording(make("sensor_resolution", [180, 240])).sensor == (240, 180)
    for value in ("0x5", "auto", "1" * 20 + "x1", [[1]]):
        assert "expected a sensor of 1 to 65536 pixels a side" in refused(make("geometry", value))
    recording = open_recording(make("geometry", "4x9"))
    assert listed(recording) == EVENTS[:2]
    assert recording.repairs == {"events beyond the 4x9 sensor left out": 1}


@given(made.lists_of_events(1 << 16, 1 << 16, 32), st.integers(0, 2**60), st.booleans())
def test_round_trip(events: list[Event], offset: int, fields: bool) -> None:
    later = [(t + offset, x, y, p) for t, x, y, p in events]
    if fields:
        content = written(lambda file: file.create_dataset("CD/events", data=compound(later)))
    else:
        content = dsec(events, offset)
    assert listed(open_recording(content)) == later


# --- other HDF5 keeps its meaning -------------------------------------------------------------------------------------


def pack(file: Any) -> None:
    content = made.nmnist(EVENTS * 9)
    file.attrs["classes"] = ["a"]
    for name, value in {"bin": np.frombuffer(content, "u1"), "offset": [0, len(content)], "label": [0]}.items():
        file[f"test/{name}"] = value


def test_weights_and_packs_are_no_recordings() -> None:
    for source in (shipped_path(DEFAULT), shipped_path(DEFAULT_OF_RECORDINGS), written(pack), written(lambda _: None)):
        assert not is_recording(source)
    assert "expected HDF5 with arrays t, x, y and p in one group, such as events/t, found 'test'" in refused(
        written(pack)
    )
    assert "found nothing" in refused(written(lambda _: None))


def test_damaged_hdf5_may_have_been_one() -> None:
    """So that it is called damaged, not no picture."""
    assert is_recording(written(arrays())[:-100])
    assert is_recording(written(lambda file: named(file, "t x y p", "both/") or named(file, "ts xs ys ps", "both/")))


def test_a_mat_file_is_named() -> None:
    """MATLAB's since 7.3 is HDF5 behind 512 bytes of text."""
    content = bytearray(written(arrays(), userblock_size=512))
    assert listed(open_recording(bytes(content))) == EVENTS
    text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64"
    content[: len(text)] = text
    assert "is a MATLAB file (.mat); read it with MATLAB or scipy.io" in refused(bytes(content))
    assert is_recording(bytes(content))


# --- what is refused --------------------------------------------------------------------------------------------------


def external_link(file: Any) -> None:
    arrays()(file)
    del file["events/t"]
    file["events/t"] = h5py.ExternalLink("other.h5", "t")


def soft_link(file: Any) -> None:
    arrays()(file)
    file.move("events/t", "elsewhere")
    file["events/t"] = h5py.SoftLink("/elsewhere")


def endless(group: Any, name: str) -> None:
    group.create_dataset(name, shape=(1 << 40,), dtype="u1", chunks=(1 << 16,))


def wide_chunks(group: Any, name: str) -> None:
    group.create_dataset(name, shape=(3,), maxshape=(None,), dtype="u4", chunks=(1 << 25,))


def virtual(group: Any, name: str) -> None:
    layout = h5py.VirtualLayout((3,), "u4")
    layout[:] = h5py.VirtualSource("other.h5", "t", (3,))
    group.create_virtual_dataset(name, layout)


def external(group: Any, name: str) -> None:
    group.create_dataset(name, shape=(3,), dtype="u4", external=[("/etc/passwd", 0, 12)])


def filtered(number: int) -> Callable[[Any, str], None]:
    """An array that claims a filter; HDF5 leaves one out that it may and does not have."""

    def make(group: Any, name: str) -> None:
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk((3,))
        settings.set_filter(number, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((3,))
        h5py.h5d.create(group.id, name.encode(), h5py.h5t.NATIVE_UINT32, space, settings)

    return make


def offset(value: Any) -> Make:
    return lambda file: [arrays()(file), file.__setitem__("t_offset", value)]


@pytest.mark.parametrize("value", [0, 0.0])
def test_an_offset_of_zero_is_of_every_unit(value: float) -> None:
    seconds = [0.5, 0.75, 1.0]
    content = written(
        lambda file: [
            offset(value)(file),
            file.__delitem__("events/t"),
            file.__setitem__("events/t", seconds),
        ]
    )
    assert [t for t, *_ in listed(open_recording(content))] == [500_000, 750_000, 1_000_000]


BAD: dict[str, tuple[bytes, str]] = {
    "a column is missing": (changed(p=None), "expected HDF5 with arrays t, x, y and p in one group, such as events/t, found 'events'"),
    "two cameras": (written(lambda file: [arrays(group=f"prophesee/{side}")(file) for side in ("left", "right")]), "expected events of one camera, found '/prophesee/left' and '/prophesee/right'; save one of them"),
    "two times": (changed(t=lambda group, _: [group.create_dataset(name, data=[1, 2, 3]) for name in ("ts", "time")]), "expected one column of t, found 'time' and 'ts'"),
    "a link to another file": (written(external_link), "expected HDF5 with arrays t, x, y and p in one group"),
    "a soft link": (written(soft_link), "expected HDF5 with arrays t, x, y and p in one group"),
    "an array of other files": (changed(t=virtual), "array 'events/t': expected it in this file, found it kept in another; copy it again"),
    "an array kept outside": (changed(t=external), "array 'events/t': expected it in this file, found it kept in another; copy it again"),
    "more than a file can hold": (changed(**dict.fromkeys("txyp", endless)), "array 'events/t': 0 bytes are stored, which cannot hold the 1099511627776 that it claims"),
    "chunks that do not fit": (changed(t=wide_chunks), "array 'events/t': expected chunks of at most 67108864 bytes, found 134217728; save it again with smaller ones"),
    "of different lengths": (changed(p=[1, 0]), "expected arrays t, x, y and p of one length, found events/t of 3, events/x of 3, events/y of 3, events/p of 2"),
    "of two axes": (changed(y=[[1, 2, 3]]), "expected array events/y of 1 axis, found shape (1, 3)"),
    "a single number": (changed(y=1), "expected array events/y of 1 axis, found shape ()"),
    "nothing at all": (changed(y=h5py.Empty("i4")), "expected array events/y of 1 axis, found shape None"),
    "text": (changed(x=["1", "2", "3"]), "expected numbers in array events/x, found object"),
    "complex numbers": (changed(x=np.zeros(3, "c8")), "expected numbers in array events/x, found complex64"),
    "fields of text": (written(lambda file: file.create_dataset("e", data=np.zeros(2, [("t", "S2"), ("x", "i2"), ("y", "i2"), ("p", "i2")]))), "expected numbers in array e, found |S2"),
    "pixels with fractions": (changed(x=[1.5, 2.0, 3.0]), "expected whole numbers below 2^63 in column x, found 1.5"),
    "times below 0": (changed(t=[-5, 1, 2]), "expected times from 0 us, found -5 us"),
    "large times": (changed(t=np.array([1, 2, 2**63], "u8")), "expected numbers below 2^63 in column t"),
    "times that an offset makes too large": (written(lambda file: [arrays()(file), file.__delitem__("events/t"), file.__setitem__("events/t", np.array([1, 2, 2**63], "u8")), file.__setitem__("t_offset", 5)]), "expected whole times and t_offset below 2^62"),
    "an offset of several": (written(offset([1, 2])), "expected a single number in t_offset, found other"),
    "an offset in words": (written(offset("late")), "expected a single number in t_offset, found other"),
    "an offset of nothing": (written(offset(h5py.Empty("i8"))), "expected a single number in t_offset, found other"),
    "an offset that is a group": (written(lambda file: [arrays()(file), file.create_group("t_offset")]), "expected a single number in t_offset, found other"),
    "an offset with a fraction": (written(offset(1.5)), "expected whole times and t_offset below 2^62, found uint32 and t_offset 1.5"),
    "an offset beyond": (written(offset(np.int64(2**62))), "expected whole times and t_offset below 2^62"),
    "an offset that is no number": (written(offset(np.nan)), "expected whole times and t_offset below 2^62"),
    "a filter with losses": (changed(t=filtered(32013)), "expected array events/t compressed without loss, found filter 32013"),
    "Prophesee's ECF": (changed(t=filtered(filters.ECF)), "array events/t is compressed with Prophesee's ECF, which needs their HDF5 plugin hdf5_ecf; install that, or take the RAW file"),
    "cut": (written(arrays())[:-100], "expected HDF5, found a damaged one ("),
    "a superblock alone": (SIGNATURE + bytes(600), "expected HDF5, found a damaged one ("),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_content_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    (tmp_path / "r.h5").write_bytes(content)
    for source in (content, tmp_path / "r.h5"):
        assert message in refused(source)


def test_without_the_package_a_filter_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda _: False)
    assert refused(changed(t=filtered(32001))) == (
        "recording 'r': array events/t is compressed with Blosc, which needs the package hdf5plugin; in the folder of "
        "sdt_ref: pip install '.[events]'"
    )
    assert "array events/t is compressed with filter 2, which this h5py lacks; save it with gzip" in refused(
        changed(t=filtered(2))
    )


def test_the_other_file_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.h5").write_bytes(written(lambda file: file.create_dataset("t", data=[1, 2, 3])))
    for content in (written(external_link), changed(t=virtual)):
        (tmp_path / "r.h5").write_bytes(content)
        refused(tmp_path / "r.h5")


def test_a_group_in_itself_is_looked_at_once() -> None:

    def make(file: Any) -> None:
        group = file.create_group("a")
        for i in range(20):
            group[f"again{i}"] = group

    assert "expected HDF5 with arrays t, x, y and p" in refused(written(make))


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    n = 3_000_000
    with h5py.File(tmp_path / "large.h5", "w") as file:
        for name, kind in TYPES.items():
            file.create_dataset(
                f"events/{name}", data=np.arange(n) % 2, dtype=kind, chunks=(50_000,), compression="lzf"
            )
    tracemalloc.start()
    counted = survey(open_recording(tmp_path / "large.h5"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (counted.events, counted.on) == (n, n // 2)
    assert peak < 16e6
    assert max(len(chunk) for chunk in open_recording(tmp_path / "large.h5").read()) <= CHUNK


def test_a_chunk_larger_than_the_usual_cache_is_unpacked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """HDF5 keeps 1 MB of chunks, and would unpack a larger one for every slice."""
    n = 1 << 19
    content = written(lambda file: [file.create_dataset(k, data=np.arange(n) % 2, chunks=(n,)) for k in "txyp"])
    asked: list[int] = []
    opened = h5py.File
    monkeypatch.setattr(h5py, "File", lambda *a, **k: asked.append(k.get("rdcc_nbytes")) or opened(*a, **k))
    assert survey(open_recording(content)).events == n
    assert [size for size in asked if size] == [1 << 20, 8 * n, 8 * n]


def test_a_file_that_goes_away_or_fails(tmp_path: Path) -> None:
    (tmp_path / "r.h5").write_bytes(written(arrays()))
    recording = open_recording(tmp_path / "r.h5")
    (tmp_path / "r.h5").unlink()
    with pytest.raises(errors.RecordingError, match="does not exist"):
        survey(recording)
    stream = io.BytesIO(written(arrays()))
    recording = open_recording(stream)
    stream.close()
    with pytest.raises(errors.RecordingError, match=r"cannot be read|is a damaged HDF5"):
        survey(recording)
