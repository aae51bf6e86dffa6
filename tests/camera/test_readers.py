"""Every format is read as its bytes say, and as the reference packages read it where they are right."""

import importlib
import io
import json
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sdt_ref import errors
from sdt_ref.camera.clock import Clock
from sdt_ref.camera.frames import integrate
from sdt_ref.camera.nmnist import looks_like_nmnist
from sdt_ref.camera.opening import is_recording, open_recording
from sdt_ref.camera.recording import CHUNK, EventFile, survey
from sdt_ref.camera.trials import Trial, list_trials, only
from tests import camera_bytes as made
from tests.camera_bytes import Event, listed
from tests.data.recordings import BYTES, HERE, SPLITS
from tests.equality import assert_same

BEYOND = "events beyond the {} sensor left out"

# --- bytes by hand ----------------------------------------------------------------------------------------------------


def told(recording: EventFile) -> tuple[str, tuple[int, int] | None, list[Event], dict[str, int]]:
    events = listed(recording)
    return recording.format, recording.sensor, events, dict(recording.repairs)


def test_nmnist_literal() -> None:
    """x, y, then polarity and time: 0x81 02 03 is ON at 0x010203 = 66051 us."""
    recording = open_recording(bytes([3, 4, 0x00, 0x00, 0x09, 33, 0, 0x81, 0x02, 0x03]))
    assert told(recording) == ("N-MNIST", (34, 34), [(9, 3, 4, 0), (66051, 33, 0, 1)], {})


def test_nmnist_may_begin_as_other_files_do() -> None:
    events = [(0x1BA41 + 100 * i, i % 7, i % 5, i % 2) for i in range(40)]
    content = made.nmnist([(t, 0, 0, 0) if i == 0 else (t, x, y, p) for i, (t, x, y, p) in enumerate(events)])
    assert content.startswith(b"\0\0\1\xba")  # a video (MPEG)
    assert open_recording(content).format == "N-MNIST"


def test_nothing_is_not_nmnist() -> None:
    assert not looks_like_nmnist(b"")
    assert not looks_like_nmnist(b"\0\1\2")
    assert not looks_like_nmnist(bytes([1, 2, 0, 0, 9]))
    assert not looks_like_nmnist(bytes([1, 2, 0, 0, 9]) * 2)


@pytest.mark.parametrize("ending", ["bmp", "ppm", "tif", "tga", "sgi", "dds"])
def test_a_dark_picture_is_not_nmnist(tmp_path: Path, ending: str) -> None:
    """Plain bytes below 34, hardly one below the one before: a night sky with a star, or at dawn."""
    sky = np.zeros((64, 200, 4 if ending == "dds" else 3), np.uint8)
    dawn = sky + np.linspace(0, 30, 200).astype(np.uint8)[:, None]
    sky[5, 5] = 255
    for picture in [sky] if ending == "tga" else [sky, dawn]:  # TGA begins with nothing that tells
        Image.fromarray(picture).save(tmp_path / f"night.{ending}")
        assert not is_recording(tmp_path / f"night.{ending}")


def test_nmnist_marks_add_2_to_the_13() -> None:
    events = [(8000, 1, 1, 1), (0, 0, 240, 0), (100, 2, 2, 0), (0, 0, 240, 0), (200, 3, 3, 1)]
    later = [(9000 + i, 5, 5, 1) for i in range(20)]
    recording = open_recording(made.nmnist(events + later))
    assert listed(recording)[:3] == [(8000, 1, 1, 1), (100 + 8192, 2, 2, 0), (200 + 2 * 8192, 3, 3, 1)]
    assert listed(recording)[-1] == (9019 + 2 * 8192, 5, 5, 1)
    assert not recording.repairs


def test_marks_count_across_chunks() -> None:
    two = made.nmnist([(0, 1, 1, 0), (0, 1, 2, 0)])
    recording = open_recording(made.nmnist([(0, 0, 240, 0)]) + two * (CHUNK // 2 + 5))
    events = made.read(recording)
    assert len(events) == CHUNK + 10
    assert (events.t == 8192).all()


def test_nmnist_beyond_its_sensor_is_left_out() -> None:
    inside = [(i, i % 34, 33, 1) for i in range(40)]
    recording = open_recording(made.nmnist([*inside, (50, 34, 0, 1), (51, 0, 34, 1), (52, 255, 239, 0)]))
    assert told(recording) == ("N-MNIST", (34, 34), inside, {BEYOND.format("34x34"): 3})


def test_nmnist_times_run_over_23_bits() -> None:
    top = 2**23
    events = [(top - 20 + i, 1, 1, 1) for i in range(19)] + [(3, 2, 2, 0), (top - 1, 3, 3, 0), (5, 4, 4, 1)]
    recording = open_recording(made.nmnist(events))
    assert listed(recording)[-3:] == [(top + 3, 2, 2, 0), (top - 1, 3, 3, 0), (top + 5, 4, 4, 1)]
    assert recording.repairs == {"times beyond 23 bits carried on": 2}


def test_aedat2_literal() -> None:
    """Address 0x0103: bit 0 set is OFF, bits 1-7 are 1, bits 8-14 are 1; the axes are exchanged and turned."""
    words = struct.pack(">IIIIII", 0x0103, 7, 0x7F00, 0x80000000, 0x00FE, 0xFFFFFFFF)
    recording = open_recording(b"#!AER-DAT2.0\r\n# This is a raw AE data file\r\n" + words)
    expected = [(7, 126, 126, 0), (2**31, 0, 127, 1), (2**32 - 1, 127, 0, 1)]
    assert told(recording) == ("AEDAT 2.0", (128, 128), expected, {})


def test_aedat2_times_run_over_32_bits() -> None:
    events = [(2**32 - 2, 1, 1, 1), (3, 2, 2, 0), (2, 3, 3, 0), (2**31 + 2, 0, 0, 0)]
    recording = open_recording(made.aedat2(events))
    assert [t - 2**32 for t, *_ in listed(recording)] == [-2, 3, 2, 2**31 + 2]  # a small step back stays one
    assert recording.repairs == {"times beyond 32 bits carried on": 1}


def test_signals_from_outside_are_no_events() -> None:
    signal = struct.pack(">II", 0x8000, 5)
    recording = open_recording(made.aedat2([(4, 1, 1, 1)]) + signal * 2 + made.aedat2([(6, 2, 2, 0)], header=b""))
    assert listed(recording) == [(4, 1, 1, 1), (6, 2, 2, 0)]
    assert recording.repairs == {"signals from outside, without a pixel, left out": 2}


def test_aedat3_literal() -> None:
    """Valid 0x1, ON 0x2, y = 3 is 0xC, x = 5 is 0xA0000; two laps of the clock are 2^32 us; kind 3 is skipped."""
    other = struct.pack("<hhiiiiii", 3, 1, 36, 4, 0, 1, 1, 1) + b"\xff" * 36
    packet = struct.pack("<hhiiiiii", 1, 1, 8, 4, 2, 1, 1, 1) + struct.pack("<II", 0xA000F, 10)
    recording = open_recording(made.HEADER3 + other + packet + other)
    assert told(recording) == ("AEDAT 3.1", (128, 128), [(2**32 + 10, 5, 3, 1)], {})


def test_what_is_not_valid_and_unused_capacity_are_left_out() -> None:
    """spikingjelly would take all five."""
    events = [(1, 1, 1, 1), (2, 2, 2, 0), (3, 3, 3, 1)]
    recording = open_recording(
        made.HEADER3 + made.packet3(events, invalid=[1], unused=2) + made.packet3([(4, 9, 9, 0)])
    )
    assert listed(recording) == [(1, 1, 1, 1), (3, 3, 3, 1), (4, 9, 9, 0)]
    assert recording.repairs == {"events that are marked as not valid left out": 1}


@pytest.mark.parametrize(
    ("camera", "sensor"), [("DVS128", (128, 128)), ("DAVIS240C", (240, 180)), ("DAVIS346B", (346, 260)), ("New", None)]
)
def test_the_header_of_aedat3_names_the_sensor(camera: str, sensor: tuple[int, int] | None) -> None:
    header = made.HEADER3.replace(b"DVS128", camera.encode())
    assert open_recording(header + made.packet3([(1, 1, 1, 1)])).sensor == sensor


def test_aedat3_beyond_its_sensor_is_left_out() -> None:
    recording = open_recording(
        made.HEADER3 + made.packet3([(1, 128, 0, 1), (2, 127, 127, 0), (3, 0, 256, 1), (4, 0, 1 << 14, 1)])
    )
    assert told(recording)[2:] == ([(2, 127, 127, 0)], {BEYOND.format("128x128"): 3})


@pytest.mark.slow
def test_aedat4_literal() -> None:
    pytest.importorskip("aedat")
    packets = made.packet4([(7, 319, 2, 1), (9, 4, 239, 0)]) + made.packet4([(1605507430438338, 320, 0, 1)])
    recording = open_recording(made.header4() + packets)
    expected = [(7, 319, 2, 1), (9, 4, 239, 0)]
    assert told(recording) == ("AEDAT 4", (320, 240), expected, {BEYOND.format("320x240"): 1})


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kind", ["int64", ">u4", "<u2", "uint8", "float32", ">f8", "float16", "bool"])
def test_npz_of_any_number(save: Callable[..., None], kind: str) -> None:
    events = [(0, 1, 0, 1), (1, 0, 1, 0), (1, 1, 1, 1)]
    assert told(open_recording(made.npz(save, **made.columns(events, kind)))) == ("npz", None, events, {})


def test_npz_may_name_its_sensor() -> None:
    recording = open_recording(made.npz(**made.columns([(5, 3, 1, 1), (6, 4, 1, 1), (7, -1, 0, 0)]), sensor=[4, 2]))
    assert told(recording) == ("npz", (4, 2), [(5, 3, 1, 1)], {BEYOND.format("4x2"): 2})


@pytest.mark.parametrize(("x", "y"), [(4, 0), (0, 2), (-1, 0), (0, -1)])
def test_each_side_of_the_sensor_is_a_limit(x: int, y: int) -> None:
    recording = open_recording(made.npz(**made.columns([(5, 3, 1, 1), (6, x, y, 0)]), sensor=[4, 2]))
    assert told(recording)[2:] == ([(5, 3, 1, 1)], {BEYOND.format("4x2"): 1})


def test_pixels_of_no_sensor_are_left_out_even_where_none_is_known() -> None:
    recording = open_recording(
        made.npz(**made.columns([(0, 65535, 0, 0), (1, 65536, 0, 1), (2, 0, -1, 0), (3, 0, 2**40, 0)]))
    )
    assert told(recording)[2:] == ([(0, 65535, 0, 0)], {BEYOND.format("65536x65536"): 3})


# --- round trips ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(made.lists_of_events(34, 34, 22, least=2))
def test_nmnist_round_trip(events: list[Event]) -> None:
    if len(set(events)) > 1:
        assert told(open_recording(made.nmnist(events))) == ("N-MNIST", (34, 34), events, {})


@pytest.mark.slow
@given(made.lists_of_events(128, 128, 32))
def test_aedat2_round_trip(events: list[Event]) -> None:
    assert told(open_recording(made.aedat2(events))) == ("AEDAT 2.0", (128, 128), events, {})


@pytest.mark.slow
@given(made.lists_of_events(128, 128, 62), st.integers(1, 5))
def test_aedat3_round_trip(events: list[Event], packet: int) -> None:
    assert told(open_recording(made.aedat3(events, packet))) == ("AEDAT 3.1", (128, 128), events, {})


@pytest.mark.slow
@settings(max_examples=5)
@given(made.lists_of_events(320, 240, 62), st.integers(1, 5))
def test_aedat4_round_trip(events: list[Event], packet: int) -> None:
    pytest.importorskip("aedat")
    assert told(open_recording(made.aedat4(events, packet))) == ("AEDAT 4", (320, 240), events, {})


@given(made.lists_of_events(1 << 15, 1 << 15, 53), st.sampled_from([np.savez, np.savez_compressed]),
       st.sampled_from(["<i8", ">i8", ">u8", "<f8", ">f8"]))  # fmt: skip
def test_npz_round_trip(events: list[Event], save: Callable[..., None], kind: str) -> None:
    assert told(open_recording(made.npz(save, **made.columns(events, kind)))) == ("npz", None, events, alone(events))


def alone(events: list[Event]) -> dict[str, int]:
    """What is told of a polarity that is the only one of a file."""
    words = {1: "polarities that are all 1 taken as ON", 0: "polarities that are all 0 taken as OFF"}
    polarities = {p for *_, p in events}
    return {words[polarities.pop()]: len(events)} if len(polarities) == 1 else {}


@given(st.lists(st.integers(0, 3 << 9), max_size=60), st.integers(1, 7))
def test_a_clock_shows_times_that_never_jump(steps: list[int], chunk: int) -> None:
    """Steps below half a lap, forwards or a little backwards, survive a clock of 12 bits, however they are cut."""
    times = np.cumsum(np.array([2000, *steps], np.int64) - 100).clip(0)
    clock = Clock(12)
    shown = times & 0xFFF
    found = [clock.unwrap(shown[i : i + chunk])[0] for i in range(0, len(shown), chunk)]
    assert_same(np.concatenate(found), times, "times")


def test_no_lap_of_a_clock_is_before_its_first() -> None:
    """Of 3 bits: a rise by 7 may be an event of the lap before, but there is none."""
    assert Clock(3).unwrap(np.array([0, 7, 0, 7, 1]))[0].tolist() == [0, 7, 8, 7, 9]


# --- chunks, sources, repetition --------------------------------------------------------------------------------------

MANY = CHUNK + 7


def many() -> dict[str, bytes]:
    """More than a chunk of events, in every format that needs no package."""
    rng = np.random.default_rng(0)
    t, x, y, p = np.sort(rng.integers(0, 2**20, MANY)), *rng.integers(0, 34, (2, MANY)), rng.integers(0, 2, MANY)
    events = list(zip(t.tolist(), x.tolist(), y.tolist(), p.tolist(), strict=True))
    return {
        "N-MNIST": made.nmnist(events),
        "AEDAT 2.0": made.aedat2(events),
        "AEDAT 3.1": made.aedat3(events, 40_000),  # two packets, gathered, are more than a chunk
        "npz": made.npz(t=t, x=x, y=y, p=p),
    }


def test_chunks_are_never_larger_than_a_chunk(tmp_path: Path) -> None:
    first: Any = None
    for kind, content in many().items():
        path = tmp_path / "named.like.nothing"
        path.write_bytes(content)
        with path.open("rb") as opened, tempfile.TemporaryFile() as temporary:
            temporary.write(content)
            for source in (path, str(path), content, bytearray(content), io.BytesIO(content), opened, temporary):
                recording = open_recording(source)
                assert recording.format == kind
                for _ in range(2):  # as often as somebody wants
                    lengths = [len(chunk) for chunk in recording.read()]
                    assert sum(lengths) == MANY
                    assert max(lengths) <= CHUNK
                events = listed(recording)
                first = first or events
                assert events == first, kind
            assert not opened.closed


def test_readings_may_overlap_and_stop_early() -> None:
    for content in many().values():
        recording = open_recording(io.BytesIO(content))
        together = zip(recording.read(), recording.read(), strict=True)
        for one, other in together:
            assert_same(one.t, other.t, recording.format)
        next(iter(recording.read()))  # and leaves no file open, or the warning is an error


def test_an_early_stop_ends_the_process_too() -> None:
    pytest.importorskip("aedat")
    recording = open_recording(made.header4() + made.packet4([(i, 1, 1, 1) for i in range(3 * CHUNK)]))
    reading = recording.read()
    assert len(next(reading)) == CHUNK
    reading.close()
    assert [len(chunk) for chunk in recording.read()] == [CHUNK] * 3


def test_repairs_are_those_of_the_last_reading() -> None:
    recording = open_recording(made.aedat2([(1, 1, 1, 1)]) + b"cut")
    for _ in range(3):
        listed(recording)
        assert recording.repairs == {"incomplete record at the end left out": 1}


def test_a_sequence_of_bytes_from_a_pack() -> None:
    """What an HDF5 pack hands over."""
    content = np.frombuffer(made.aedat2([(1, 1, 1, 1)]), np.uint8)
    for source in (content.tobytes(), memoryview(content), io.BytesIO(content.tobytes())):
        assert listed(open_recording(source)) == [(1, 1, 1, 1)]


def test_names() -> None:
    content = made.aedat2([(1, 1, 1, 1)])
    assert open_recording(content).name == "bytes"
    assert open_recording(content, "train/7").name == "train/7"
    assert open_recording(io.BytesIO(content)).name == "recording"


# --- references -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BYTES)
def test_spikingjelly_reads_and_counts_the_same(name: str) -> None:
    recording = open_recording(BYTES[name]())
    events = made.read(recording)
    with np.load(HERE / "reference.npz") as reference:
        for key in "txyp":
            assert_same(getattr(events, key).astype(np.int64), reference[f"{name}/{key}"], key)
        for steps, split in SPLITS:
            frames = integrate(recording, steps, split, (128, 128))
            assert_same(frames, reference[f"{name}/{split}/{steps}"].astype(np.int64), f"{steps} frames by {split}")
            assert frames.sum() == len(events)


def hashed(recording: EventFile) -> dict[str, str]:
    import hashlib

    assert recording.sensor is not None
    return {
        f"{split}/{steps}": hashlib.sha256(
            integrate(recording, steps, split, recording.sensor).astype("<i8").tobytes()
        ).hexdigest()
        for steps, split in SPLITS
    }


REAL = json.loads((HERE / "real.json").read_text())


@pytest.mark.parametrize("name", REAL)
def test_real_recordings_count_as_in_spikingjelly(shared: Path, name: str) -> None:
    file, _, index = name.partition("/")
    path = shared / "events" / file
    if not path.exists():
        pytest.skip(f"the real recording {path} is not here; made-up ones are tested")
    if file.endswith(".aedat4"):
        pytest.importorskip("aedat")
    if not index:
        assert hashed(open_recording(path)) == REAL[name]
        return
    with h5py.File(path) as pack:
        first, last = pack["test/offset"][int(index) : int(index) + 2]
        assert hashed(open_recording(pack["test/bin"][first:last].tobytes())) == REAL[name]


def test_a_real_aedat4_is_what_the_package_reads(shared: Path) -> None:
    aedat = pytest.importorskip("aedat")
    path = shared / "events" / "sample.aedat4"
    if not path.exists():
        pytest.skip(f"the real recording {path} is not here; made-up ones are tested")
    events = np.concatenate([packet["events"] for packet in aedat.Decoder(path) if "events" in packet])
    read = made.read(open_recording(path))
    for key, name in zip("txyp", ("t", "x", "y", "on"), strict=True):
        assert_same(getattr(read, key), events[name].astype(getattr(read, key).dtype), key)


# --- trials -----------------------------------------------------------------------------------------------------------

TABLE = b"class,startTime_usec,endTime_usec\r\n2,10,20\r\n1,20,35\r\n2,30,40\r\n"


def test_trials_literal() -> None:
    trials = list_trials(TABLE)
    assert trials == [Trial(1, 10, 20, 0), Trial(0, 20, 35, 0), Trial(1, 30, 40, 1)]
    assert list_trials(b"\xef\xbb\xbf" + TABLE.replace(b"\r\n", b"\n") + b"\n") == trials
    recording = open_recording(made.aedat3([(t, 1, 1, 1) for t in (9, 20, 10, 19, 34, 35, 30)]))
    parts = [only(recording, trial) for trial in trials]
    assert [[t for t, *_ in listed(part)] for part in parts] == [[10, 19], [20, 34, 30], [34, 35, 30]]
    assert [survey(part).events for part in parts] == [2, 3, 3]
    assert (parts[0].sensor, parts[0].format, parts[0].name) == ((128, 128), "AEDAT 3.1", "bytes, 10 to 20 us")


def test_repairs_of_a_trial_are_those_of_the_recording() -> None:
    recording = open_recording(made.HEADER3 + made.packet3([(1, 1, 1, 1), (2, 1, 1, 1)], invalid=[0]))
    part = only(recording, Trial(0, 2, 3, 0))
    for _ in range(2):
        assert listed(part) == [(2, 1, 1, 1)]
        assert part.repairs == {"events that are marked as not valid left out": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"expected trials, found none"),
        (b"class,startTime_usec,endTime_usec\n", r"expected trials, found none"),
        (b"a,b\n", r"expected the columns class,startTime_usec,endTime_usec, found 'a,b'"),
        (TABLE + b"1,2\n", r"line 5: expected three whole numbers, found '1,2'"),
        (TABLE + b"1,2,x\n", r"line 5: expected three whole numbers, found '1,2,x'"),
        (TABLE + b"1,-2,3\n", r"expected three whole numbers"),
        (TABLE + b"1,2," + b"9" * 5000 + b"\n", r"expected three whole numbers"),
        (TABLE + b"0,2,3\n", r"expected a class from 1"),
        (TABLE + b"1,3,2\n", r"no end before the start, found 1,3,2"),
        (TABLE + b'1,"' + b"9" * 200_000 + b"\n", r"expected comma-separated values"),
        (b"\xff\x00" * 9, r"expected the columns"),
        (bytes((1 << 20) + 1), r"expected at most 1048576 bytes, found 1048577"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(content: bytes, message: str) -> None:
    with pytest.raises(errors.RecordingError, match=message) as caught:
        list_trials(content, "user01_labels.csv")
    assert "\n" not in str(caught.value)
    assert "user01_labels.csv" in str(caught.value)


def test_the_process_that_decodes_aedat4_imports_nothing_of_the_package() -> None:
    """Its start is what a reading costs."""
    source = (Path(importlib.import_module("sdt_ref.camera.aedat4").__file__ or "")).with_name("aedat4_process.py")
    assert "sdt_ref" not in [word.split(".")[0] for word in source.read_text().split() if word.startswith("sdt_ref.")]
    assert "from ." not in source.read_text()
