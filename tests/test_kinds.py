"""A file is called the same wherever it is given, by its first bytes; text that begins alike is text."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import sqlite3
import struct
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from sdt_ref import ImageError, RecordingError, WeightsError
from sdt_ref.camera import foreign as camera
from sdt_ref.camera.opening import open_recorded, open_recording
from sdt_ref.inputs import foreign as inputs
from sdt_ref.inputs.image import open_picture
from sdt_ref.kinds import HDF5, KINDS, kind_of
from sdt_ref.weights import recognise as weights
from sdt_ref.weights.checkpoint import convert
from tests.camera_bytes import listed


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return stream.getvalue()


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("member"), io.BytesIO())
    return stream.getvalue()


def sqlite() -> bytes:
    with sqlite3.connect(":memory:") as base:
        base.execute("CREATE TABLE messages (id INTEGER)")
    content = base.serialize()
    base.close()
    return content


def hdf5() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["x"] = np.arange(3)
    return stream.getvalue()


def saved(function: object) -> bytes:
    stream = io.BytesIO()
    function(stream, np.arange(3))  # type: ignore[operator]
    return stream.getvalue()


def picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, kind)
    return stream.getvalue()


def media(brand: bytes, *others: bytes) -> bytes:
    body = b"ftyp" + brand + bytes(4) + b"".join(others)
    return struct.pack(">I", len(body) + 4) + body + b"\0\0\0\x08free" + bytes(40)


def safetensors(**header: object) -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + bytes(8)


WEIGHT = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
EBML = b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82"
REST = bytes(99)
HEADS: dict[str, tuple[bytes, ...]] = {
    "a ROS bag": (b"#ROSBAG V2.0\nE\0\0\0" + REST, b"#ROSBAG V1.2\n" + REST),
    "an SQLite database, as ROS 2 keeps its bags in (.db3)": (sqlite(),),
    "an MCAP file, as ROS 2 keeps its bags in": (b"\x89MCAP0\r\n\1" + REST,),
    "a MATLAB file (.mat)": (b"MATLAB 5.0 MAT-file Platform: posix, Created on: Mon" + REST, b"MATLAB 7.3 MAT-file, " + REST),
    "an Event Stream (.es)": (b"Event Stream\2\0\0\1\x22\0\x22\0" + REST,),
    "a camera's RAW file (CR2)": (b"II*\0\x10\0\0\0CR\2\0" + REST,),
    "a camera's RAW file (CR3)": (media(b"crx ", b"crx ", b"isom"),),
    "a camera's RAW file (RAF)": (b"FUJIFILMCCD-RAW 0201" + REST,),
    "a camera's RAW file (ORF)": (b"IIRO\x08\0\0\0" + REST, b"IIRS\x08\0\0\0" + REST, b"MMOR\0\0\0\x08" + REST),
    "a camera's RAW file (RW2)": (b"IIU\0\x18\0\0\0" + REST,),
    "an AVIF picture": (media(b"avif", b"mif1"), media(b"mif1", b"miaf", b"avif")),
    "an HEIC picture": (media(b"heic", b"mif1"), media(b"mif1", b"mif1", b"heic"), media(b"msf1", b"hevc")),
    "a JPEG XL picture": (b"\xff\x0a" + REST, b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl " + REST),
    "a JPEG picture": (picture("JPEG"),),
    "a PNG picture": (picture("PNG"),),
    "a GIF picture": (picture("GIF"), b"GIF89a" + REST),
    "a TIFF picture": (picture("TIFF"), b"MM\0*" + REST, b"II+\0\x08\0\0\0" + REST),
    "a BMP picture": (picture("BMP"),),
    "a WebP picture": (b"RIFF\x10\0\0\0WEBPVP8 " + REST,),
    "an SVG drawing": (
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- by hand -->\n<!-- <html> -->\n<!DOCTYPE svg PUBLIC 'x' [ <!ENTITY a 'b'> ]>\n<svg\n/>",
        b"<svg:svg xmlns:svg='x'/>",
    ),
    "a video (QuickTime)": (media(b"qt  "), b"\0\0\0\x08wide\0\0\0\0mdat" + REST, b"\0\0\0\1mdat" + REST),
    "a video (MP4)": (media(b"isom", b"iso2", b"avc1", b"mp41"), media(b"mp42"), media(b"3gp5")),
    "a video (AVI)": (b"RIFF\x10\0\0\0AVI LIST" + REST,),
    "a video (WebM)": (EBML + b"\x84webm" + REST,),
    "a video (Matroska)": (EBML + b"\x88matroska" + REST,),
    "a video (MPEG)": (b"\0\0\1\xbaD\0\4\0" + REST, b"\0\0\1\xb3\x16\0\xf0\xc4" + REST),
    "a video (Ogg)": (b"OggS\0\2" + REST,),
    "a video (Flash)": (b"FLV\1\5\0\0\0\x09" + REST,),
    "a video (Windows Media)": (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + REST,),
    "a checkpoint of PyTorch": (zipped("model/data.pkl", "model/version"),),
    "a safetensors file": (safetensors(w=WEIGHT), safetensors(__metadata__={"format": "pt"}, w=WEIGHT)),
    "a GGUF file": (b"GGUF\3\0\0\0" + REST,),
    "a Python pickle": (pickle.dumps({"t": np.arange(3)}), pickle.dumps([(1, 2)], protocol=2)),
    "a NumPy array (.npy)": (saved(np.save),),
    "a NumPy archive (.npz)": (saved(np.savez), saved(np.savez_compressed)),
    "an HDF5 file": (hdf5(),),
    "a zip archive": (zipped("digit.bin", "notes.txt"), zipped("events/", "events/digit.bin")),
    "a tar archive": (tar(),),
    "a gzip archive": (gzip.compress(b"x"),),
    "a bzip2 archive": (bz2.compress(b"x"), bz2.compress(b"")),
    "an xz archive": (lzma.compress(b"x"),),
    "a zstd archive": (b"(\xb5/\xfd\4\0" + REST,),
    "an LZ4 archive": (b"\4\x22M\x18d@" + REST,),
    "a 7z archive": (b"7z\xbc\xaf\x27\x1c\0\4" + REST,),
    "a RAR archive": (b"Rar!\x1a\7\1\0" + REST, b"Rar!\x1a\7\0" + REST),
    "a Parquet table": (b"PAR1\x15\0" + REST,),
    "an Arrow table": (b"ARROW1\0\0" + REST,),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 21625\n",),
    "an empty zip archive": (zipped(),),
    "an HTML page": (
        b"\n <!DOCTYPE html>\n<html><body><svg></svg>",
        b"\xef\xbb\xbf\r\n  <HTML lang='de'>\n",
        "<html><body>\u00e9".encode("utf-16"),
        b"<!-- saved -->\n<!-- again -->\n<html>",
        b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC 'x'>\n<html>",
        b"<title>Log in</title>",
    ),
    "an XML text": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", b"<Error>", b"<svgs>", b"<a:html/>"),
    "a PDF document": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + REST,),
    "a program": (b"\x7fELF\2\1\1" + REST,),
}  # fmt: skip
CASES = [pytest.param(name, head, id=f"{name} {i}") for name, heads in HEADS.items() for i, head in enumerate(heads)]
# where less is known, since the file is cut
LESS = {
    **dict.fromkeys(("an HEIC picture", "a camera's RAW file (CR3)"), "a video (MP4)"),
    "an AVIF picture": "an HEIC picture",
    **dict.fromkeys(("a checkpoint of PyTorch", "a NumPy archive (.npz)"), "a zip archive"),
    **dict.fromkeys(("an HTML page", "an SVG drawing"), "an XML text"),
    "a camera's RAW file (CR2)": "a TIFF picture",
    "a video (QuickTime)": "a video (MP4)",
    "a video (WebM)": "a video (Matroska)",
}
ALIKE = (
    "BZh is how bzip2 begins", "BZh9, too", "%PDF of the noise", "%PDF-files are printed", "GIF89 was the year", "MATLAB code to read it",
    "PAR1,PAR2,PAR3", "ARROW1 points up", "Rar! it says", "7z packs well", "OggS are files", "GGUF holds weights", "BM: a beginning",
    "RIFF and RAFF", "RIFF and WEBP", "FLV is old", "IIRO is not Olympus", "MMOR", "II* is a name", "Event Stream of the lab", "The wide sensor", "new moov",
    "shiftyp", "SQLite format 3 is stable", "PK are letters", "version https://example.org/spec", "NUMPY", "HDF", "ELF", "<3 svgs",
    "< html", "<", "# ROSBAG V2", "#ROSBAG Viewer", "0& is text", "ustar", "svg", "html", "",
)  # fmt: skip


def test_every_kind_is_tried() -> None:
    names = [name for kinds in KINDS.values() for name, _ in kinds]
    assert sorted(names) == sorted(HEADS), "each name once, and a head of each"


@pytest.mark.parametrize(("name", "head"), CASES)
def test_it_is_named(name: str, head: bytes) -> None:
    kind = kind_of(head)
    assert kind is not None
    assert kind.name == name
    assert name in dict(KINDS[kind.family])


@pytest.mark.parametrize(("name", "head"), CASES)
def test_a_file_that_is_cut_has_no_name_or_this_one(name: str, head: bytes) -> None:
    """Wherever it is cut, nothing is raised; what is too short to tell is named for what it begins as."""
    less = LESS.get(name, name)
    for size in range(min(len(head), 300)):
        kind = kind_of(head[:size])
        assert kind is None or kind.name in (name, less, LESS.get(less)), size


@pytest.mark.parametrize("text", ALIKE)
def test_text_that_begins_alike_is_text(text: str, tmp_path: Path) -> None:
    content = f"{text}\nmore of it follows here, and so on\n".encode()
    assert kind_of(content) is kind_of(text.encode()) is None
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(WeightsError, match="found text, which begins '"):
        convert(tmp_path / "w")


@pytest.mark.parametrize(
    "line",
    [
        *("%PDF-1.7", "#ROSBAG V2.0", "BZh91AY&SY,t,x,y,p", "GIF89a,t,x,y,p", "MATLAB 5.0 MAT-file,t,x,y,p"),
        *("FUJIFILMCCD-RAW\tt\tx\ty\tp", "RIFF1234AVI ,t,x,y,p", "<html>,t,x,y,p", "%PDF-1.7 t x y p"),
    ],
)
def test_a_table_of_events_is_read_whatever_its_first_line_begins_like(line: str) -> None:
    between = "\t" if "\t" in line else ","
    cells = ["0"] * (len(line.split(between)) == 5)
    rows = [between.join([*cells, *map(str, event)]) for event in ((1, 2, 3, 0), (4, 5, 6, 1))]
    assert kind_of(line.encode()) is not None
    assert listed(open_recording("\n".join([line, *rows]).encode())) == [(1, 2, 3, 0), (4, 5, 6, 1)]


def test_comments_are_looked_at_once() -> None:
    """Ways to part them double with each."""
    assert kind_of(b"<!---->" * 500 + b"text") is None
    assert kind_of(b"<!-- \n<?x?>" * 300 + b"<") is None
    found = kind_of(b"<!---->" * 500 + b"<svg>")
    assert found is not None
    assert found.name == "an SVG drawing"


@pytest.mark.parametrize(("name", "head"), CASES)
def test_every_room_calls_it_so(name: str, head: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, and what to do behind the name, but where the room reads such files."""
    monkeypatch.setattr("sdt_ref.inputs.image.load_plug_in", lambda kind: False)
    path = tmp_path / "file"
    path.write_bytes(head)
    found: dict[str, str] = {}
    if name not in camera.READ:
        with pytest.raises(RecordingError) as recording:
            open_recorded(path)
        found["camera"] = str(recording.value)
    if name not in ("a checkpoint of PyTorch", "a safetensors file", "a Python pickle"):
        with pytest.raises(WeightsError) as checkpoint:
            convert(path)
        found["weights"] = str(checkpoint.value)
    kind = inputs.kind_in(head)
    assert kind is not None
    if name not in dict(KINDS["picture"]) or kind.name in inputs.REMEDIES:  # Pillow reads the others
        with pytest.raises(ImageError) as refused:
            open_picture(io.BytesIO(head))
        found["inputs"] = str(refused.value)
    for room, message in found.items():
        assert "\n" not in message, room
        assert name in message, room
        assert "; " in message.partition(name)[2] or name == HDF5, room


@pytest.mark.parametrize("room", [camera, inputs, weights])
def test_no_remedy_is_for_a_kind_that_does_not_exist(room: object) -> None:
    known = {*HEADS, *KINDS, inputs.PIXELS}
    assert known.issuperset(room.REMEDIES)  # type: ignore[attr-defined]
    assert known.issuperset((*camera.READ, *inputs.PLUG_INS))


def test_an_array_in_a_zip_needs_no_ending() -> None:
    """The first file of another zip may have none either: its contents tell."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, column in zip("txyp", np.array([(1, 2, 3, 0), (4, 5, 6, 1)]).T, strict=True):
            array = io.BytesIO()
            np.save(array, column)
            archive.writestr(name, array.getvalue())
    assert listed(open_recording(stream.getvalue())) == [(1, 2, 3, 0), (4, 5, 6, 1)]
    kind = kind_of(stream.getvalue())
    assert kind is not None
    assert kind.name == "a zip archive"


def test_a_damaged_picture_is_named() -> None:
    with pytest.raises(ImageError, match="found a PNG picture; it is damaged or cut: get it again"):
        open_picture(io.BytesIO(b"\x89PNG\r\n\x1a\n" + bytes(5)))
