"""Whatever the bytes: events, with every repair counted, or one line that says what is wrong. Never more, never a hang."""

import io
import os
import pickle
import struct
import tempfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sdt_ref import errors
from sdt_ref.camera import aedat4, checking
from sdt_ref.camera.frames import integrate
from sdt_ref.camera.opening import open_recording
from sdt_ref.camera.recording import CHUNK, survey
from tests import camera_bytes as made
from tests.camera_bytes import listed
from tests.data.recordings import BYTES

CUT = "incomplete record at the end left out"
EVENTS = [(10, 1, 2, 1), (20, 3, 4, 0), (30, 5, 6, 1)]


def refused(source: Any, name: str | None = None) -> str:
    """What the refusal says, at opening or at reading."""
    with pytest.raises(errors.RecordingError) as caught:
        listed(open_recording(source, name))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- files that end early ---------------------------------------------------------------------------------------------

ENDINGS = {
    "AEDAT 2.0": (made.aedat2([]), made.aedat2(EVENTS, header=b"")),
    "AEDAT 3.1": (made.HEADER3, made.packet3(EVENTS)),
    "AEDAT 4": (made.header4(), made.packet4(EVENTS[:2]) + made.packet4(EVENTS[2:])),
}


@pytest.mark.parametrize("kind", ["AEDAT 2.0", "AEDAT 3.1"])
def test_cut_anywhere(kind: str) -> None:
    """All whole events are kept, and what is left over counts as one repair; without a whole one, it is refused."""
    header, content = ENDINGS[kind]
    events = [len(content) - 8 * i for i in (3, 2, 1, 0)]  # where the events end
    for n in range(len(content) + 1):
        whole = max((i for i, end in enumerate(events) if end <= n), default=0)
        if whole == 0 and n not in (0, events[0] if kind == "AEDAT 2.0" else 0):
            assert "expected whole events" in refused(header + content[:n])
            continue
        recording = open_recording(header + content[:n])
        assert listed(recording) == EVENTS[:whole]
        assert recording.repairs == ({} if n in (0, len(content)) or (kind == "AEDAT 2.0" and n % 8 == 0) else {CUT: 1})


@pytest.mark.slow
def test_aedat4_cut() -> None:
    pytest.importorskip("aedat")
    header, content = ENDINGS["AEDAT 4"]
    first = len(made.packet4(EVENTS[:2]))
    for n, kept in [(first - 1, 0), (first, 2), (first + 5, 2), (first + 30, 2), (len(content) - 1, 2)]:
        if not kept:
            assert "expected whole events of AEDAT 4" in refused(header + content[:n])
            continue
        recording = open_recording(header + content[:n])
        assert listed(recording) == EVENTS[:kept]
        assert recording.repairs == ({} if n == first else {CUT: 1})
    for n in (15, 30, len(header) - 1):
        assert "is a damaged AEDAT 4" in refused(header[:n])


def test_nmnist_cut() -> None:
    content = made.nmnist([(i, i, i, 1) for i in range(12)])
    recording = open_recording(content[:-1])
    assert len(listed(recording)) == 11
    assert recording.repairs == {CUT: 1}
    assert "found none of them" in refused(content[:33])  # six records and a rest may be anything


def test_nothing_but_a_header_is_a_recording_without_events() -> None:
    for recording in map(open_recording, (made.aedat2([]), made.HEADER3, made.npz(**made.columns([])))):
        told = survey(recording)
        assert (told.events, told.on, told.first, told.last, told.backwards) == (0, 0, 0, 0, 0)
        with pytest.raises(errors.RecordingError, match="expected events, found none"):
            integrate(recording, 4, "number", (128, 128))


def test_frames_refuse_events_beyond_their_size() -> None:
    recording = open_recording(made.npz(**made.columns([(1, 5, 3, 1), (2, 0, 0, 1)])))
    assert integrate(recording, 1, "number", (6, 4)).sum() == 2
    for size in ((5, 4), (6, 3)):
        with pytest.raises(errors.RecordingError, match=r"within \dx\d pixels, found x up to 5 and y up to 3"):
            integrate(recording, 1, "number", size)


def test_times_that_run_backwards_are_kept_and_counted() -> None:
    events = [(30, 1, 1, 1), (10, 2, 2, 0), (20, 3, 3, 1)]
    recording = open_recording(made.aedat2(events))
    assert listed(recording) == events
    assert not recording.repairs
    assert (survey(recording).backwards, survey(recording).first, survey(recording).last) == (1, 10, 30)


# --- contents that are refused ----------------------------------------------------------------------------------------


def header3(**changed: int) -> bytes:
    fields = {"kind": 1, "camera": 1, "size": 8, "offset": 4, "laps": 0, "capacity": 1, "number": 1, "valid": 1}
    return made.HEADER3 + struct.pack("<hhiiiiii", *(fields | changed).values()) + struct.pack("<II", 1, 1)


def columns(**changed: Any) -> bytes:
    return made.npz(**made.columns(EVENTS) | changed)


def array_claiming(shape: str, data: bytes = bytes(24), version: bytes = b"\1\0") -> bytes:
    """A zip whose array t tells its own shape."""
    stream = io.BytesIO(columns())
    stream.seek(0)
    with zipfile.ZipFile(stream) as old:
        members = {name: old.read(name) for name in old.namelist()}
    header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    size = struct.pack("<H" if version == b"\1\0" else "<I", len(header))
    members["t.npy"] = b"\x93NUMPY" + version + size + header + data
    fresh = io.BytesIO()
    with zipfile.ZipFile(fresh, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)
    return fresh.getvalue()


def with_flag(content: bytes, local: int, central: int, value: int) -> bytes:
    """Change a field of all headers of a zip."""
    changed = bytearray(content)
    for magic, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        position = changed.find(magic)
        while position >= 0:
            changed[position + offset] = value
            position = changed.find(magic, position + 4)
    return bytes(changed)


class Trap:
    """What pickle would run."""

    def __reduce__(self) -> Any:
        return pytest.fail, ("pickle was read",)


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "a JPEG": (b"\xff\xd8\xff\xe0" + bytes(99), r"is a JPEG picture; expected a recording"),
    "a PNG": (b"\x89PNG\r\n\x1a\n" + bytes(99), r"is a PNG picture"),
    "text": (b"t,x,y,p\n1,2,3,0\n" * 99, "line 3: expected 4 numbers, found 't x y p'"),
    "text without numbers": (b"Dear all,\nsome words.\n", "expected AEDAT 2.0 of a DVS128.*, AEDAT 3.1.*, AEDAT 4, N-MNIST's .bin, .*text"),
    "a script": (b"#!/bin/sh\nrm -r everything\n", "found none of them"),
    "text with a title": (b"# Title\nSome words that are no events at all, none.\n", "expected DVS128 addresses"),
    "zeros": (bytes(5000), "found none of them"),
    "small integers": (np.tile(np.arange(1, 34, dtype="<i4"), 20).tobytes(), "found none of them"),
    "one record": (made.nmnist(EVENTS[:1]), "found none of them"),
    "N-Caltech101": (made.nmnist([(i, i, i, 1) for i in range(180)]), "found none of them"),
    "a wide sensor": (made.nmnist([(i, i % 34 + 34 * (i % 7 == 0), 1, 1) for i in range(60)]), "found none of them"),
    "AEDAT 1.0": (b"#!AER-DAT1.0\r\n" + bytes(60), "expected AEDAT of version 2.0, 3.1, 4.0, found '1.0'"),
    "AEDAT 3.0": (b"#!AER-DAT3.0\r\n" + bytes(60), "found '3.0'"),
    "AEDAT 2.0 of a DAVIS": (
        made.aedat2(EVENTS, b"#!AER-DAT2.0\r\n# AEChip: eu.seebetter.ini.chips.davis.DAVIS240C\r\n"),
        "expected AEDAT 2.0 of a DVS128, found the header of another sensor, 'eu.seebetter.ini.chips.davis.DAVIS240C'",
    ),
    "AEDAT 2.0 of DAVIS hardware": (
        made.aedat2(EVENTS, b"#!AER-DAT2.0\r\n# HardwareInterface: DAVIS FX3 0002-INI\r\n"), "another sensor, 'DAVIS FX3'",
    ),
    "AEDAT 2.0 of another chip": (made.aedat2(EVENTS, b"#!AER-DAT2.0\r\n# AEChip: Cochlea\x1b[31m\r\n"), r"'Cochlea\\x1b\[31m'"),
    "AEDAT 2.0 of a sensor unnamed": (
        b"#!AER-DAT2.0\r\n" + struct.pack(">II", 0x80_000_000, 1) * 2 + struct.pack(">II", 0, 1),
        "expected DVS128 addresses below 32768, found larger ones in 2 of the first 3 events",
    ),
    "AEDAT 2.0, endless line": (b"#!AER-DAT2.0\r\n#" + b"x" * (1 << 21), "a text header of at most 1048576 bytes"),
    "AEDAT 2.0, endless lines": (b"#!AER-DAT2.0\r\n" + b"#\n" * (1 << 20), "a text header of at most 1048576 bytes"),
    "AEDAT 3.1, endless lines": (b"#!AER-DAT3.1\r\n" + b"#\n" * (1 << 20), "a text header of at most 1048576 bytes"),
    "AEDAT 3.1 without an end of the header": (b"#!AER-DAT3.1\r\n" + made.packet3(EVENTS), "expected a line '#!END-HEADER'"),
    "AEDAT 3.1, compressed": (
        made.HEADER3.replace(b"RAW", b"PNGFrames") + made.packet3(EVENTS), "of format RAW, found 'PNGFrames'",
    ),
    "AEDAT 3.1, number above capacity": (header3(number=2), f"expected a packet at byte {len(made.HEADER3)}, found a header with 2 events of at most 1"),
    "AEDAT 3.1, number below 0": (header3(number=-1), "found a header with -1 events"),
    "AEDAT 3.1, no size": (header3(size=0), "0 bytes an event of kind 1"),
    "AEDAT 3.1, size below 0": (header3(kind=3, size=-8), "-8 bytes an event of kind 3"),
    "AEDAT 3.1, another size": (header3(size=16), "16 bytes an event of kind 1"),
    "AEDAT 3.1, kind below 0": (header3(kind=-1), "kind -1"),
    "AEDAT 3.1, laps below 0": (header3(laps=-1), "-1 laps of the clock"),
    "AEDAT 3.1 of two cameras": (
        made.HEADER3 + made.packet3(EVENTS) + made.packet3(EVENTS, camera=2), "events of one camera, found those of 1 and 2",
    ),
    "npz of frames": (made.npz(frames=np.ones((4, 2, 3, 3))), "expected events, found frames that were counted of some"),
    "npz of other arrays": (made.npz(t=[1], x=[1], z=[1]), "a zip with arrays t, x, y and p, or one array, found 't', 'x', 'z'"),
    "another zip": (b"PK\x05\x06" + bytes(18), "expected a zip with arrays t, x, y and p, or one array, found none"),
    "npz of objects": (columns(t=np.array([Trap()] * 3, object)), "expected numbers in array 't', found objects of Python, which are never"),
    "npz of text": (columns(x=np.array(["1", "2", "3"])), "expected numbers in array 'x', found <U1"),
    "npz of times as such": (columns(t=np.zeros(3, "M8[us]")), "expected numbers in array 't', found datetime64"),
    "npz of different lengths": (columns(p=[1, 0]), "of one length, found 't' of 3, 'x' of 3, 'y' of 3, 'p' of 2"),
    "npz of two axes": (columns(y=[[1, 2, 3]]), r"expected array 'y' of one axis, found shape \(1, 3\)"),
    "npz of a single number": (columns(y=1), r"expected array 'y' of one axis, found shape \(\)"),
    "npz with NaN": (columns(t=[1.0, np.nan, 3.0]), "expected numbers below 2.63 in column t, found nan to nan"),
    "npz with infinity": (columns(x=[1.0, np.inf, 3.0]), "expected whole numbers below 2.63 in column x, found inf"),
    "npz with half pixels": (columns(y=[1.0, 0.5, 1.0]), "expected whole numbers below 2.63 in column y, found 0.5"),
    "npz with large floats": (columns(t=[1.0, 2.0**63, 3.0]), "expected numbers below 2.63 in column t, found 1 to 9.22"),
    "npz with large integers": (columns(t=np.array([1, 2**63, 3], np.uint64)), "expected numbers below 2.63 in column t, found 1 to 9.22"),
    "npz with times below 0": (columns(t=[1, -5, 3]), "expected times from 0 us, found -5 us"),
    "npz with a strange sensor": (columns(sensor=[3]), "expected width and height"),
    "npz with an absurd sensor": (columns(sensor=[10**9, 10**9]), "expected width and height, 1 to 65536 pixels"),
    "npz claiming 10^9 events": (array_claiming("(1000000000,)"), r"expected array 't' of shape \(1000000000,\) with 8 bytes each.*found 24 bytes"),
    "npz claiming fewer than none": (array_claiming("(-3,)"), r"expected array 't' of shape \(-3,\) with 8 bytes each"),
    "npz claiming a shape in words": (array_claiming("('x',)"), "is a damaged npz"),
    "npz with a program for a shape": (array_claiming("__import__('os').abort()"), "is a damaged npz"),
    "npz of another version": (array_claiming("(3,)", version=b"\3\0"), "in NumPy's format 1.0 or 2.0, found 3.0"),
    "npz without NumPy's magic": (columns().replace(b"\x93NUMPY", b"\x93LUMPY"), "is a damaged npz"),
    "npz, encrypted": (with_flag(columns(), 6, 8, 1), "expected an npz that is not encrypted, found array 't' encrypted"),
    "npz by another method": (with_flag(columns(), 8, 10, 12), "expected arrays stored or deflated"),
    "npz, cut": (columns()[:-30], "is a damaged npz: File is not a zip file; copy it again"),
    "npz, a bit turned": (columns().replace(bytes([10, 0, 0, 0, 0, 0, 0, 0]), bytes([11, 0, 0, 0, 0, 0, 0, 0])), "Bad CRC-32"),
    "npz, a bomb": (
        made.npz(np.savez_compressed, **{key: np.zeros(4 << 20, np.int64) for key in "txyp"}),
        "expected events that unpack to at most 100 times the .* bytes of the file, found 1342",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_content_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    path = tmp_path / "recording.aedat"
    path.write_bytes(content)
    with pytest.raises(errors.RecordingError, match=message) as caught:
        listed(open_recording(path))
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert str(caught.value).startswith(f"recording '{path}'")
    assert str(caught.value).count("recording '") == 1


def test_a_zip_that_points_before_its_beginning(tmp_path: Path) -> None:
    content = columns()[:4] + columns()[300:]
    (tmp_path / "short").write_bytes(content)
    for source in (content, tmp_path / "short"):
        assert "is a damaged npz: " in refused(source)


def test_pickle_would_have_run() -> None:
    """The trap above is one."""
    with pytest.raises(pytest.fail.Exception, match="pickle was read"):
        pickle.loads(pickle.dumps(Trap()))


def test_settings_of_other_chips_in_the_header_name_no_sensor() -> None:
    header = (
        b'#!AER-DAT2.0\r\n# AEChip: DVS128\r\n# <entry key="DAVIS240C.Bias" value="1"/>\r\n# HardwareInterface: USB\r\n'
    )
    assert listed(open_recording(made.aedat2(EVENTS, header))) == EVENTS
    assert listed(open_recording(made.aedat2(EVENTS, b"# no version\r\n"))) == EVENTS


# --- sources that are refused -----------------------------------------------------------------------------------------


def test_a_folder_and_nothing(tmp_path: Path) -> None:
    assert refused(tmp_path).endswith("expected a file, found a folder")
    assert refused(tmp_path / "absent").endswith("does not exist")
    assert "cannot be read" in refused("x" * 5000)
    assert "expected a file, found a path that cannot be read" in refused("a\0b")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_may_never_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe").endswith("expected a file, found a pipe or a device; save it as a file first")
    assert refused("/dev/zero").endswith("expected a file, found a pipe or a device; save it as a file first")
    with open("/dev/zero", "rb") as endless:
        assert refused(endless).endswith("expected a file, found a pipe or a device; save it as a file first")
    reader, writer = os.pipe()
    with open(reader, "rb") as pipe, open(writer, "wb"):
        assert refused(pipe).endswith("expected a file, found a pipe or a device; save it as a file first")


def test_a_locked_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for anyone but root, who may read everything."""

    def locked(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "locked"
    path.write_bytes(made.aedat2(EVENTS))
    monkeypatch.setattr(os, "open", locked)
    assert refused(path).endswith("cannot be read: Permission denied")


def test_sources_of_other_kinds() -> None:
    assert refused(io.StringIO("text")).endswith("cannot be read: expected bytes, found text")
    for source in (None, 7, np.zeros(3)):
        assert "expected a path, bytes or a binary file" in refused(source)
    closed = io.BytesIO(made.aedat2(EVENTS))
    closed.close()
    assert "cannot be read: " in refused(closed)


def test_a_file_that_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "there.npz"
    path.write_bytes(columns())
    recording = open_recording(path)
    path.unlink()
    with pytest.raises(errors.RecordingError, match="does not exist"):
        survey(recording)


class Failing(io.BytesIO):
    """A disk that fails after the beginning."""

    fails = False

    def read(self, n: int | None = -1) -> bytes:
        if self.fails:
            raise OSError(5, "Input/output error")
        return super().read(n)


def test_an_open_file_that_is_closed_or_holds_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(made.aedat2(EVENTS))
    with path.open("rb") as opened:
        recording = open_recording(opened)
        assert listed(recording) == EVENTS
    with pytest.raises(errors.RecordingError, match=r"cannot be read: .*closed"):
        listed(recording)
    with tempfile.NamedTemporaryFile("w+") as text:
        text.write("text")
        assert "cannot be read: expected bytes, found text" in refused(text)


def test_a_process_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aedat4.importlib.util, "find_spec", lambda _: "there")
    monkeypatch.setattr(aedat4.sys, "executable", "/nowhere/python")
    assert refused(made.header4()).endswith("its decoder does not start: No such file or directory")


@pytest.mark.parametrize("name", BYTES)
def test_a_disk_that_fails(name: str) -> None:
    disk = Failing(BYTES[name]())
    disk.fails = True
    assert refused(disk).endswith("cannot be read: Input/output error")
    disk.fails = False
    recording = open_recording(disk)
    disk.fails = True
    with pytest.raises(errors.RecordingError, match=r"cannot be read: Input/output error|is a damaged npz"):
        survey(recording)


# --- AEDAT 4, which another package decodes ----------------------------------------------------------------------------


def test_without_the_package_aedat4_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aedat4.importlib.util, "find_spec", lambda _: None)
    message = refused(made.header4() + made.packet4(EVENTS), "r.aedat4")
    assert (
        message
        == "recording 'r.aedat4' is AEDAT 4, which needs the package aedat; in the folder of sdt_ref: pip install '.[events]'"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("streams", "message"),
    [
        ([(0, "EVTS", 9, 9), (1, "EVTS", 9, 9)], "expected one stream of events, found 2"),
        ([(0, "IMUS", 9, 9)], "expected one stream of events, found 0"),
        ([(0, "EVTS", 0, 9)], "expected a sensor of 1 to 65536 pixels a side, found 0x9"),
    ],
)
def test_streams_of_aedat4(streams: list[tuple[int, str, int, int]], message: str) -> None:
    pytest.importorskip("aedat")
    assert message in refused(made.header4(streams))


@pytest.mark.parametrize("call", ["mkdir", "write"])
def test_no_room_for_the_copy_that_aedat4_needs(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(aedat4.importlib.util, "find_spec", lambda _: "there")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(*((os, "mkdir", full) if call == "mkdir" else (aedat4.shutil, "copyfileobj", full)))
    assert refused(made.header4()) == (
        "recording 'bytes' is needed as a file, since it is AEDAT 4, and no copy of it can be written to the folder for "
        "temporary files: No space left on device; make room, name another folder in TMPDIR, or give it as a file"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_damage_within_aedat4() -> None:
    """A table far beyond the header, where the package panics; a vector of 10^9 events; a packet of 2 GB."""
    pytest.importorskip("aedat")
    sound = made.header4() + made.packet4(EVENTS)
    for position in (18, len(made.header4()) + 40):
        damaged = bytearray(sound)
        damaged[position : position + 4] = struct.pack("<I", 10**9)
        message = refused(bytes(damaged))
        assert "is a damaged AEDAT 4: " in message
        assert "crashed" not in message  # the panic is caught where it happens
    recording = open_recording(sound + struct.pack("<iI", 0, 2**31 - 1) + b"few")
    assert listed(recording) == EVENTS
    assert recording.repairs == {CUT: 1}


CRASHES = {
    "at once": "",
    "after the streams": "print('{\"streams\": [[9, 9]]}', flush=True)",
    "within a block": "import sys; sys.stdout.buffer.write(b'{\"streams\": [[9, 9]]}\\n\\x09\\0\\0\\0abc'); sys.stdout.flush()",
}


@pytest.mark.slow
@pytest.mark.parametrize("when", CRASHES)
def test_a_crash_of_the_package_stays_in_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr(aedat4.importlib.util, "find_spec", lambda _: "there")
    program = tmp_path / "crash.py"
    program.write_text(
        f"import os, resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n{CRASHES[when]}\nos.abort()\n"
    )
    monkeypatch.setattr(aedat4, "PROGRAM", program)
    assert refused(made.header4()).endswith("is a damaged AEDAT 4: its decoder crashed; copy it again")


# --- memory ------------------------------------------------------------------------------------------------------------

MEGABYTES = 100


def sparse(path: Path, head: bytes, size: int) -> Path:
    """A file of zeros after its head, which takes no place on the disk."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
    return path


def large_files(folder: Path) -> Iterator[tuple[Path, int]]:
    size = MEGABYTES << 20
    header = made.aedat2([])
    yield sparse(folder / "aedat2", header, size), (size - len(header)) // 8
    beginning = made.nmnist([(i, 1, 1, 1) for i in range(checking.CHUNK)])
    yield sparse(folder / "nmnist", beginning, size), size // 5
    valid = made.packet3(EVENTS)
    claims = struct.pack(
        "<hhiiiiii", 1, 1, 8, 4, 0, 2**31 - 1, 2**31 - 1, 2**31 - 1
    )  # of which there are few, none valid
    yield sparse(folder / "aedat3", made.HEADER3 + valid + claims, size), 3
    n = (checking.CHUNK << 8) // 10  # 1.7 million: 54 MB, in a zip of few kB
    (folder / "npz").write_bytes(made.npz(np.savez_compressed, **{key: np.ones(n, np.int64) for key in "txyp"}))
    yield folder / "npz", n


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Files of 100 MB, in the memory of a few chunks."""
    for path, events in large_files(tmp_path):
        tracemalloc.start()
        recording = open_recording(path)
        assert survey(recording).events == events, path
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(path.name, events, f"{peak / 1e6:.1f} MB")
        assert peak < 8e6, path


@pytest.mark.slow
def test_memory_does_not_grow_with_aedat4(tmp_path: Path) -> None:
    pytest.importorskip("aedat")
    packet = made.packet4([(i, 1, 1, 1) for i in range(CHUNK)])
    with (tmp_path / "large").open("wb") as file:
        file.write(made.header4())
        for _ in range((MEGABYTES << 20) // len(packet)):
            file.write(packet)
    tracemalloc.start()
    told = survey(open_recording(tmp_path / "large"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert told.events == (MEGABYTES << 20) // len(packet) * CHUNK
    assert peak < 8e6


# --- anything at all ---------------------------------------------------------------------------------------------------

SEEDS: dict[str, bytes] = {name: make()[:4000] for name, make in BYTES.items() if name != "npz"} | {
    "npz": columns(),
    "compressed": made.npz(np.savez_compressed, **made.columns(EVENTS)),
}
EDITS = st.lists(
    st.tuples(st.sampled_from(["put", "cut", "drop"]), st.integers(0, 4000), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=4,
)


def edited(content: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    changed = bytearray(content)
    for what, where, new in edits:
        at = where % (len(changed) + 1)
        if what == "put":
            changed[at : at + len(new)] = new
        else:
            del changed[at : at + len(new) if what == "drop" else None]
    return bytes(changed)


def survives(content: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            listed(open_recording(content))
        except errors.RecordingError as error:
            assert "\n" not in str(error)  # noqa: PT017 - most contents are read


@pytest.mark.campaign
@settings(max_examples=400)
@given(st.sampled_from(sorted(SEEDS)), EDITS)
@example("npz", [("put", 26, b"\xff\xff")])  # a name longer than the file
def test_any_damage_is_repaired_or_refused(name: str, edits: list[tuple[str, int, bytes]]) -> None:
    survives(edited(SEEDS[name], edits))


@pytest.mark.campaign
@settings(max_examples=8)
@given(EDITS)
def test_any_damage_of_aedat4_is_repaired_or_refused(edits: list[tuple[str, int, bytes]]) -> None:
    pytest.importorskip("aedat")
    survives(edited(made.header4() + made.packet4(EVENTS), edits))


@pytest.mark.campaign
@given(st.sampled_from([b"", b"#!AER-DAT2.0\r\n", made.HEADER3, b"PK\x03\x04", b"#"]), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(magic: bytes, rest: bytes) -> None:
    survives(magic + rest)
