"""What Pillow does not open by itself is read by a plug-in that is installed, or named for what it is."""

import gzip
import io
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest
from PIL import Image

from sdt_ref import ImageError
from sdt_ref.inputs import foreign
from sdt_ref.inputs.foreign import kind_in
from sdt_ref.inputs.image import open_picture
from tests.equality import assert_same
from tests.pictures import tiff
from tests.shipped import CAT, DIGIT

PHOTO = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


def media(brand: bytes, *others: bytes) -> bytes:
    """The first box of an ISO media file, and some of what follows."""
    body = b"ftyp" + brand + bytes(4) + b"".join(others)
    return (len(body) + 4).to_bytes(4, "big") + body + b"\0\0\0\x08free" + bytes(40)


def hdf5(*names: str) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name in names:
            file[name] = np.arange(10)
    return stream.getvalue()


def npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, PHOTO)
    return stream.getvalue()


ADVICE = {
    "HEIC": (media(b"heic", b"mif1", b"heic"), "found an HEIC picture; pip install pillow-heif"),
    "HEIC by another brand": (media(b"mif1", b"mif1", b"heic"), "found an HEIC picture; pip install pillow-heif"),
    "AVIF": (media(b"avif", b"mif1"), "found an AVIF picture; pip install 'pillow>=11.3'"),
    "AVIF by another brand": (media(b"mif1", b"miaf", b"avif"), "found an AVIF picture"),
    "JPEG XL": (b"\xff\x0a" + bytes(40), "found a JPEG XL picture; pip install pillow-jxl-plugin"),
    "JPEG XL in a box": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), "found a JPEG XL picture; pip install pillow-jxl-plugin"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "found an SVG drawing; export it as PNG"),
    "SVG with a head": (
        b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- made by hand -->\n<!DOCTYPE svg>\n<svg\n width='9'/>",
        "found an SVG drawing; export it as PNG",
    ),
    "SVG with a prefix": (b"<?xml version='1.0'?><svg:svg xmlns:svg='x'/>", "found an SVG drawing"),
    "HTML": (b"\n<!DOCTYPE html>\n<html><body><svg></svg>", "found an HTML page; download the picture itself"),
    "HTML without a type": (b"<html lang='en'>", "found an HTML page"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "found a Git LFS pointer; run git lfs pull"),
    "PDF": (b"%PDF-1.7\n", "found a PDF document; save the page as PNG"),
    "MP4": (media(b"isom", b"mp42"), "found a video (MP4); save a frame of it"),
    "QuickTime": (media(b"qt  "), "found a video"),
    "AVI": (b"RIFF\x40\0\0\0AVI LIST" + bytes(40), "found a video"),
    "Matroska": (b"\x1aE\xdf\xa3" + bytes(40), "found a video"),
    "MPEG": (b"\0\0\x01\xb3\x16\0\xf0\xc4" + bytes(40), "found a video"),
    "HDF5": (hdf5("test/jpeg"), "found an HDF5 file; evaluate reads packs"),
    "events in HDF5": (hdf5("events/t", "events/x", "events/y", "events/p"), "found a recording of an event camera; choose --weights that read recordings"),
    "NumPy": (npy(), "found a NumPy array (.npy); save pixels as PNG; recordings need --weights"),
    "ZIP": (b"PK\x03\x04" + bytes(40), "found a zip archive; unpack it"),
    "gzip": (gzip.compress(b"<svg/>"), "found a gzip archive; unpack it"),
    "CR2": (b"II*\0\x10\0\0\0CR\x02\0" + bytes(40), "found a camera's RAW file (CR2); export it"),
    "CR3": (media(b"crx ", b"crx ", b"isom"), "found a camera's RAW file (CR3); export it"),
    "RAF": (b"FUJIFILMCCD-RAW 0201" + bytes(40), "found a camera's RAW file (RAF)"),
    "DNG": (tiff(np.zeros((2, 2), np.float64), tags={50706: 0x0401}), "found a camera's RAW file (DNG); export it"),
    "ARW": (tiff(np.zeros((2, 2), np.float64), photometric=32803, tags={271: b"SONY \0"}), "found a camera's RAW file (Sony); export it"),
    "64-bit TIFF": (
        tiff(np.zeros((2, 2), np.float64)),
        "found a TIFF picture that Pillow does not read (1 x 64-bit floating-point numbers); save it with 8 or 16 bits",
    ),
    "a recording": (DIGIT.read_bytes(), "found a recording of an event camera; choose --weights that read recordings"),
    "text": (b"Lorem ipsum", "found none"),
    "text with a < sign": (b"<3 svgs", "found none"),
    "nothing": (b"", "found none"),
}  # fmt: skip


@pytest.mark.parametrize("as_stream", [False, True])
@pytest.mark.parametrize("name", ADVICE)
def test_it_is_named_for_what_it_is(
    name: str, as_stream: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its content, never by its name, in one line."""
    content, message = ADVICE[name]
    monkeypatch.setattr("sdt_ref.inputs.image.load_plug_in", lambda kind: False)
    (tmp_path / "p.jpg").write_bytes(content)
    with pytest.raises(ImageError) as caught:
        open_picture(io.BytesIO(content) if as_stream else tmp_path / "p.jpg")
    assert f"expected a format that Pillow reads (JPEG, PNG, ...), {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def no_plug_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is installed, and none has been imported by a test before."""
    for module in ("pillow_heif", "pillow_heif.HeifImagePlugin", "pillow_avif", "pillow_jxl"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", [kind for kind in Image.ID if kind not in ("HEIF", "AVIF", "JXL")])


@pytest.mark.usefixtures("no_plug_ins")
@pytest.mark.parametrize(("name", "module"), [("HEIC", "pillow_heif.HeifImagePlugin"), ("JPEG XL", "pillow_jxl")])
def test_a_plug_in_is_imported_where_it_is_needed(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content, message = ADVICE[name]
    with pytest.raises(ImageError, match=message):
        open_picture(io.BytesIO(content))
    imported = []

    def import_module(wanted: str) -> ModuleType:
        """A plug-in that decodes any such file to one photo."""
        imported.append(wanted)
        photo, begins = io.BytesIO(), content[:2]
        Image.fromarray(PHOTO).save(photo, "PNG")
        Image.register_open("ANY", lambda stream, name: Image.open(photo), lambda head: head.startswith(begins))
        return ModuleType(wanted)

    monkeypatch.setattr(foreign.importlib, "import_module", import_module)
    assert_same(np.asarray(open_picture(io.BytesIO(content))), PHOTO, name)
    assert imported == [module]
    open_picture(CAT)
    assert imported == [module], "a JPEG needs none"


@pytest.mark.usefixtures("no_plug_ins")
def test_a_picture_that_its_plug_in_does_not_open_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """To install what is installed would not help."""
    monkeypatch.setattr(foreign.importlib, "import_module", ModuleType)
    with pytest.raises(ImageError, match="cannot be decoded, it may be truncated: it begins as an HEIC picture"):
        open_picture(io.BytesIO(ADVICE["HEIC"][0]))


@pytest.mark.usefixtures("no_plug_ins")
def test_a_broken_plug_in_is_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(wanted: str) -> ModuleType:
        raise RuntimeError("its library is another one")

    monkeypatch.setattr(foreign.importlib, "import_module", import_module)
    with pytest.raises(ImageError, match="pip install pillow-heif"):
        open_picture(io.BytesIO(ADVICE["HEIC"][0]))


def test_the_preview_of_a_camera_s_file_is_taken_and_told(tmp_path: Path) -> None:
    grey = PHOTO[..., 0]
    tags = {254: 1, 330: 8, 271: b"NIKON CORPORATION\0"}
    for content, what in (
        (tiff(grey, tags={50706: 0x0401}), "a camera's RAW file (DNG) taken as the preview in it"),
        (tiff(grey, tags=tags), "a camera's RAW file (Nikon) taken as the preview in it"),
    ):
        told: Counter[str] = Counter()
        assert_same(np.asarray(open_picture(io.BytesIO(content), channels=1, told=told)), grey, what)
        assert told == {what: 1}
    told = Counter()
    open_picture(io.BytesIO(tiff(grey, tags={254: 1})), told=told)
    assert not told, "a small TIFF is no camera's"


@pytest.mark.parametrize("cut", [3, 9, 14, 40, 90])
def test_a_tiff_that_is_cut_has_no_kind_or_one(cut: int) -> None:
    """Whatever its tags say, nothing is raised."""
    kind_in(ADVICE["DNG"][0][:cut])
    with pytest.raises(ImageError):
        open_picture(io.BytesIO(ADVICE["DNG"][0][:cut]))
