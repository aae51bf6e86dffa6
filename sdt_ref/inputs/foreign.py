"""What a file is that Pillow does not open by itself: told by its first bytes, in words, with what to do about it."""

import importlib
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import features

HEAD = 1 << 16  # bytes that are looked at
TEXT = 4096  # bytes in which a document says what it is


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    what : in words, with an article
    remedy : what to do
    plug_ins : modules that make Pillow read it when they are imported
    preview : whether Pillow may open a small picture in it for the picture itself
    """

    what: str
    remedy: str
    plug_ins: tuple[str, ...] = ()
    preview: bool = False


def _raw(name: str) -> Kind:
    return Kind(f"a camera's RAW file ({name})", "export it as PNG or JPEG", preview=True)


HEIC = Kind("an HEIC picture", "pip install pillow-heif, or export it as JPEG", ("pillow_heif.HeifImagePlugin",))
AVIF = Kind("an AVIF picture", "pip install 'pillow>=11.3', or export it as PNG", ("pillow_avif",))
JPEG_XL = Kind("a JPEG XL picture", "pip install pillow-jxl-plugin, or export it as PNG", ("pillow_jxl",))
SVG = Kind("an SVG drawing", "export it as PNG, at the size that you want")
HTML = Kind("an HTML page", "download the picture itself, not the page that shows it")
LFS = Kind("a Git LFS pointer, not the file that it stands for", "run git lfs pull")
HDF5 = Kind("an HDF5 file", "evaluate reads packs of pictures, --weights a weights file")
VIDEO = Kind("a video", "save a frame of it as a picture")

BRANDS = (  # of an ISO media file, in its ftyp box: the first row with any of a file's brands
    ((b"avif", b"avis"), AVIF),
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), HEIC),
    ((b"crx ",), _raw("CR3")),
)
MAGIC = (  # where, and what stands there
    (0, b"\xff\x0a", JPEG_XL),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", JPEG_XL),
    (0, b"version https://git-lfs.github.com/spec/", LFS),
    (0, b"%PDF-", Kind("a PDF document", "save the page as PNG")),
    (0, b"\x1aE\xdf\xa3", VIDEO),  # Matroska, WebM
    (8, b"AVI LIST", VIDEO),
    (0, b"FLV\x01", VIDEO),
    (0, b"\0\0\x01\xba", VIDEO),  # MPEG
    (0, b"\0\0\x01\xb3", VIDEO),
    (8, b"CR\x02", _raw("CR2")),
    (0, b"FUJIFILMCCD-RAW", _raw("RAF")),
    (0, b"IIRO", _raw("ORF")),
    (0, b"IIRS", _raw("ORF")),
    (0, b"MMOR", _raw("ORF")),
    (0, b"IIU\0", _raw("RW2")),
    (0, b"\x89HDF\r\n\x1a\n", HDF5),
    (0, b"\x93NUMPY", Kind("a NumPy array", "save pixels as PNG; recordings need --weights that read them")),
    (0, b"PK\x03\x04", Kind("a ZIP archive, as .npz is", "unpack it; recordings need --weights that read them")),
    (0, b"\x1f\x8b", Kind("a gzip archive", "unpack it")),
)
TIFF = b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"
SUBFILE, MAKE, PHOTOMETRIC, SUB_IFDS, DNG_VERSION = 254, 271, 262, 330, 50706  # tags
BITS, SAMPLE_FORMAT = 258, 339
REDUCED = 1  # of SUBFILE: this picture is a smaller one of another
SENSOR = 32803, 34892  # of PHOTOMETRIC: what the pixels of the sensor measured
NUMBERS = {1: "whole", 2: "whole", 3: "floating-point"}  # of SAMPLE_FORMAT
DOCUMENT = re.compile(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(!doctype html|html|head)\b", re.I | re.S)
DRAWING = re.compile(rb"(\xef\xbb\xbf)?\s*<.*?<?(\w+:)?svg[\s>]", re.I | re.S)


def head_of(source: Any) -> bytes:
    """The first bytes of a path or of a binary file that can seek; none where they cannot be read."""
    try:
        if isinstance(source, (str, os.PathLike)):
            with Path(source).open("rb") as file:
                return file.read(HEAD)
        source.seek(0)
        return bytes(source.read(HEAD))
    except (OSError, ValueError, TypeError, AttributeError):
        return b""


def kind_of(head: bytes) -> Kind | None:
    """The kind of a file, by its first bytes; None where they tell nothing."""
    if head[4:8] == b"ftyp":
        size = min(int.from_bytes(head[:4], "big"), 256)
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, size, 4))}
        return next((kind for known, kind in BRANDS if brands.intersection(known)), VIDEO)
    for at, magic, kind in MAGIC:
        if head.startswith(magic, at):
            return kind
    if head.startswith(TIFF):
        return _kind_of_tiff(head)
    if DOCUMENT.match(head[:TEXT]):
        return HTML
    return SVG if DRAWING.match(head[:TEXT]) else None


def teach(kind: Kind) -> bool:
    """Import a plug-in for Pillow that reads this kind; whether Pillow can read it now."""
    for module in kind.plug_ins:
        try:
            importlib.import_module(module)
        except Exception:  # not installed, or broken, which is the same here
            continue
        return True
    return kind is AVIF and bool(features.check("avif"))


def _kind_of_tiff(head: bytes) -> Kind | None:
    from PIL import TiffImagePlugin  # which Pillow loads only where it is needed

    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(head[: 16 if b"+" in head[:4] else 8])
        stream = io.BytesIO(head)
        stream.seek(tags.next)
        tags.load(stream)
        raw = _camera(tags)
        bits, numbers = tags.get(BITS, (1,)), NUMBERS.get(tags.get(SAMPLE_FORMAT, (1,))[0], "other")
        pixels = f"{len(bits)} x {bits[0]}-bit {numbers} numbers"
    except Exception:  # Pillow raises many kinds for tags that are cut or damaged
        return None
    if raw is not None:
        return _raw(raw)
    return Kind(f"a TIFF that Pillow does not read ({pixels})", "save it with 8 or 16 bits")


def _camera(tags: Any) -> str | None:
    """Whose RAW file it is, by the tags of its first picture, which is a small preview; None if it is none."""
    if DNG_VERSION in tags:
        return "DNG"
    maker = str(tags.get(MAKE, "")).split(" ")[0].strip("\0").capitalize()
    is_preview = tags.get(SUBFILE, 0) & REDUCED and SUB_IFDS in tags
    return maker if maker and (is_preview or tags.get(PHOTOMETRIC) in SENSOR) else None
