"""What people have beside recordings is named for what it is, in one line, with what to do."""

import bz2
import gzip
import io
import lzma
import pickle
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sdt_ref import errors, infer
from sdt_ref.camera.foreign import COLUMNS, name_foreign
from sdt_ref.camera.opening import is_recording, open_recording
from tests import camera_bytes as made
from tests.data.recordings import BYTES


def sqlite(folder: Path) -> bytes:
    path = folder / "bag.db3"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, timestamp INTEGER NOT NULL, data BLOB NOT NULL)")
    base.close()
    return path.read_bytes()


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo("digit.bin")
        info.size = 5
        archive.addfile(info, io.BytesIO(bytes(5)))
    return stream.getvalue()


def mat5() -> bytes:
    from scipy.io import savemat

    stream = io.BytesIO()
    savemat(stream, {"t": np.arange(3)})
    return stream.getvalue()


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, EVENTS)
    return stream.getvalue()


EVENTS = BYTES["nmnist"]()
EBML = b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82"
ROS, VIDEO = "read its events with a package of ROS (such as rosbags), and save them", "it has pictures, no events"

# content, what it is called, what to do, whether it is taken for a recording where the weights are to be chosen
FOREIGN: dict[str, tuple[bytes, str, str, bool]] = {
    "ROS bag": (b"#ROSBAG V2.0\nE\0\0\0" + bytes(4096), "a ROS bag", ROS, True),
    "ROS bag 1.2": (b"#ROSBAG V1.2\n" + bytes(99), "a ROS bag", ROS, True),
    "MCAP": (b"\x89MCAP0\r\n\1" + bytes(99), "an MCAP file, as ROS 2 keeps its bags in", ROS, True),
    "MATLAB 5": (mat5(), "a MATLAB file (.mat)", "read it with MATLAB or scipy.io", True),
    "MP4": (b"\0\0\0 ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(99), "a video (MP4)", VIDEO, True),
    "MP4 of a phone": (b"\0\0\0\x18ftypmp42\0\0\0\0mp42" + bytes(99), "a video (MP4)", VIDEO, True),
    "MOV": (b"\0\0\0\x14ftypqt  \0\0\2\0qt  " + bytes(99), "a video (QuickTime)", VIDEO, True),
    "old MOV": (b"\0\0\0\x08wide\0\0\0\0mdat" + bytes(99), "a video (QuickTime)", VIDEO, True),
    "AVI": (b"RIFF\x10\0\0\0AVI LIST" + bytes(99), "a video (AVI)", VIDEO, True),
    "MKV": (EBML + b"\x88matroska" + bytes(99), "a video (Matroska)", VIDEO, True),
    "WebM": (EBML + b"\x84webm" + bytes(99), "a video (WebM)", VIDEO, True),
    "MPEG": (b"\0\0\1\xbaD\0\4\0" + bytes(99), "a video (MPEG)", VIDEO, True),
    "Ogg": (b"OggS\0\2" + bytes(99), "a video (Ogg)", VIDEO, True),
    "Flash": (b"FLV\1\5\0\0\0\x09" + bytes(99), "a video (Flash)", VIDEO, True),
    "WMV": (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(99), "a video (Windows Media)", VIDEO, True),
    "Event Stream": (b"Event Stream\2\0\0\1\x22\0\x22\0" + bytes(99), "an Event Stream (.es)", "convert it with loris or faery", True),
    "JPEG": (b"\xff\xd8\xff\xe0" + bytes(99), "a JPEG picture", "expected a recording of an event camera", False),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(99), "a PNG picture", "expected a recording", False),
    "GIF": (b"GIF89a" + bytes(99), "a GIF picture", "expected a recording", False),
    "TIFF": (b"II*\0" + bytes(99), "a TIFF picture", "expected a recording", False),
    "WebP": (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(99), "a WebP picture", "expected a recording", False),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1" + bytes(99), "an HEIC picture", "expected a recording", False),
    "AVIF": (b"\0\0\0\x18ftypavif\0\0\0\0mif1" + bytes(99), "an AVIF picture", "expected a recording", False),
    "zip": (zipped("digit.bin", "t.npy"), "a zip archive", "unpack it, and give the recording in it", True),
    "zip of a folder": (zipped("events/", "events/digit.bin"), "a zip archive", "unpack it", True),
    "checkpoint": (zipped("model/data.pkl", "model/version"), "a checkpoint of PyTorch", "expected a recording", True),
    "tar": (tar(), "a tar archive", "unpack it, and give the recording in it", False),
    "gzip": (gzip.compress(EVENTS), "a gzip archive", "unpack it", False),
    "bzip2": (bz2.compress(EVENTS), "a bzip2 archive", "unpack it", False),
    "xz": (lzma.compress(EVENTS), "an xz archive", "unpack it", False),
    "zstd": (b"(\xb5/\xfd\4\0" + bytes(99), "a zstd archive", "unpack it", False),
    "LZ4": (b"\4\x22M\x18d@" + bytes(99), "an LZ4 archive", "unpack it", False),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(99), "a 7z archive", "unpack it", False),
    "RAR": (b"Rar!\x1a\7\1\0" + bytes(99), "a RAR archive", "unpack it", False),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(99), "a PDF document", "expected a recording", False),
    "HTML": (b"\n <!DOCTYPE html><html><head><title>Log in</title></head></html>", "an HTML page", "it is not the file itself; download that again, logged in if need be", False),
    "HTML without a type": (b"\xef\xbb\xbf<html lang='de'>" * 9, "an HTML page", "it is not the file itself", False),
    "Git-LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 21625\n", "a Git LFS pointer", "download that: git lfs pull", False),
    "pickle": (pickle.dumps({"t": np.arange(3)}), "a Python pickle", "it may run programs, so it is not read", False),
    "old pickle": (pickle.dumps([(1, 2, 3, 0)], protocol=2), "a Python pickle", "it may run programs", False),
    "old checkpoint": (pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2) + bytes(99), "a Python pickle", "it may run programs", False),
    "Parquet": (b"PAR1\x15\0" + bytes(99), "a Parquet table", "read it with pandas or polars", False),
    "Arrow": (b"ARROW1\0\0" + bytes(99), "an Arrow table", "read it with pandas or polars", False),
}  # fmt: skip


def refused(content: bytes) -> str:
    with pytest.raises(errors.RecordingError) as caught:
        open_recording(content, "r")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", FOREIGN)
def test_what_it_is_and_what_to_do(name: str) -> None:
    content, what, remedy, recording = FOREIGN[name]
    assert refused(content).startswith(f"recording 'r' is {what}; ")
    assert remedy in refused(content)
    assert is_recording(content) == recording


def test_a_bag_of_ros_2(tmp_path: Path) -> None:
    content = sqlite(tmp_path)
    assert "is an SQLite database, as ROS 2 keeps its bags in (.db3); read its events with a package of ROS" in refused(
        content
    )
    assert is_recording(content)


def test_the_command_says_it_whatever_the_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "events.bin"
    for name in ("ROS bag", "MP4", "MATLAB 5"):
        path.write_bytes(FOREIGN[name][0])
        assert infer.main([str(path)]) == 2
        assert capsys.readouterr().err.startswith(f"error: recording '{path}' is {FOREIGN[name][1]}; ")


def test_no_recording_that_is_read_is_named_so() -> None:
    for make in (*BYTES.values(), lambda: made.aedat4([(1, 1, 1, 1)])):
        assert name_foreign(make()) is None


def test_the_line_of_code_that_is_named_makes_a_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    t, x, y, p = np.array([(1, 2, 3, 0), (4, 5, 6, 1)]).T
    exec(COLUMNS, {"numpy": np, "t": t, "x": x, "y": y, "p": p})
    assert made.listed(open_recording(tmp_path / "r.npz")) == [(1, 2, 3, 0), (4, 5, 6, 1)]
