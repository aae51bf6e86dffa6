"""What Pillow does not open by itself: a plug-in that reads it, or what it is and what to do about it."""

import contextlib
import importlib
import io
from typing import Any

from PIL import features

from ..camera.opening import is_recording
from ..kinds import ARCHIVE, ARRAYS, AVIF, CAMERA, HDF5, INSTEAD, PICTURE, RECORDING, TIFF, VIDEO, Kind, kind_of

HEAD = 1 << 16  # bytes that are looked at
PIXELS = "pixels that Pillow does not read"  # a family of TIFF
REMEDIES = {
    "an HEIC picture": "pip install pillow-heif, or export it as JPEG",
    AVIF: "pip install 'pillow>=11.3', or export it as PNG",
    "a JPEG XL picture": "pip install pillow-jxl-plugin, or export it as PNG",
    "an SVG drawing": "export it as PNG, at the size that you want",
    PICTURE: "it is damaged or cut: get it again",
    PIXELS: "save it with 8 or 16 bits",
    CAMERA: "export it as PNG or JPEG",
    VIDEO: "save a frame of it as a picture",
    RECORDING: "choose --weights that read recordings",
    ARRAYS: "save pixels as PNG; recordings need --weights that read them",
    HDF5: "evaluate reads packs of pictures, --weights a weights file",
    ARCHIVE: "unpack it",
    "a PDF document": "save the page as PNG",
    INSTEAD: "download the picture itself",
    "a Git LFS pointer": "run git lfs pull",
}
PLUG_INS = {  # modules that make Pillow read a kind when they are imported
    "an HEIC picture": "pillow_heif.HeifImagePlugin",
    AVIF: "pillow_avif",
    "a JPEG XL picture": "pillow_jxl",
}
SUBFILE, MAKE, PHOTOMETRIC, SUB_IFDS, DNG_VERSION = 254, 271, 262, 330, 50706  # tags
BITS, SAMPLE_FORMAT = 258, 339
REDUCED = 1  # of SUBFILE: this picture is a smaller one of another
SENSOR = 32803, 34892  # of PHOTOMETRIC: what the pixels of the sensor measured
NUMBERS = {1: "whole", 2: "whole", 3: "floating-point"}  # of SAMPLE_FORMAT


def head_of(source: Any) -> bytes:
    """The first bytes of a binary file that can seek; none where they cannot be read."""
    try:
        source.seek(0)
        return bytes(source.read(HEAD))
    except (OSError, ValueError, TypeError, AttributeError):
        return b""


def kind_in(head: bytes) -> Kind | None:
    """The kind of a file, of a TIFF by its tags; None where the first bytes tell nothing."""
    kind = kind_of(head)
    return _kind_of_tiff(head) or kind if kind is not None and kind.name == TIFF else kind


def name_foreign(source: Any) -> str:
    """Name what Pillow does not open, and say what to do."""
    kind = kind_in(head_of(source))
    if (kind is None or kind.name == HDF5) and is_recording(source):
        return "a recording of an event camera; choose --weights that read recordings"
    return "none" if kind is None else kind.advice(REMEDIES, "give a picture")


def load_plug_in(kind: Kind) -> bool:
    """Import a plug-in for Pillow that reads this kind; tell whether Pillow can read it now."""
    with contextlib.suppress(Exception):  # there is none, it is not installed, or broken, which is the same here
        importlib.import_module(PLUG_INS[kind.name])
        return True
    return kind.name == AVIF and bool(features.check("avif"))


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
        return Kind(f"a camera's RAW file ({raw})", CAMERA)
    return Kind(f"a TIFF picture that Pillow does not read ({pixels})", PIXELS)


def _camera(tags: Any) -> str | None:
    """Whose RAW file it is, by the tags of its first picture, which is a small preview; None if it is none."""
    if DNG_VERSION in tags:
        return "DNG"
    maker = str(tags.get(MAKE, "")).split(" ")[0].strip("\0").capitalize()
    is_preview = tags.get(SUBFILE, 0) & REDUCED and SUB_IFDS in tags
    return maker if maker and (is_preview or tags.get(PHOTOMETRIC) in SENSOR) else None
