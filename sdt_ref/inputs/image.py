"""A picture becomes the network's input, as in the official evaluation: upright, RGB, resized, cropped, normalised.

A network of one channel reads grey, one of four RGB and opacity (alpha).
"""

import contextlib
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from .. import interrupt
from ..camera.recording import TAKEN
from ..errors import ImageError, reason_of, shown
from ..files import open_plain
from ..kinds import CAMERA
from ..weights.config import Preprocessing
from .foreign import head_of, kind_in, load_plug_in, name_foreign
from .grey import eight_bits, is_deep

MOST_FILL = 1000  # bytes before the first part of a JPEG
MAX_PIXELS = 89_478_485  # where Pillow begins to warn of a decompression bomb; below 1 GB in any mode
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # Pillow's, by the number of channels


def open_picture(
    source: Any, *, as_official: bool = False, channels: int = 3, told: Counter[str] | None = None
) -> Image.Image:
    """Open a picture with 8 bits a channel.

    Parameters
    ----------
    source : path, binary file, PIL image, or uint8 array (H, W, 3)
        grey, palette, CMYK and 16-bit pictures are converted; transparency is laid on white; EXIF rotation is applied.
        Of grey with 32 bits, the range says what white is: 1, 255 or 65535
    as_official : do as the official evaluation does instead, convert("RGB") alone: no rotation, transparency dropped.
        Grey of more than 8 bits, which that would clip to white, is scaled all the same
    channels : 3 for RGB; 1 for grey, also from an array (H, W) or (H, W, 1); 4 for RGBA, whose transparency is kept,
        also from an array (H, W, 4)
    told : takes what was assumed of the picture, and how often

    Raises
    ------
    ImageError
        not a picture, truncated, too large to be safe, or 32-bit grey of which it is not clear what white is
    """
    told = Counter() if told is None else told
    if isinstance(source, np.ndarray):
        return _of_array(source, channels)
    name = _name(source)
    if isinstance(source, (str, os.PathLike)):
        with open_plain(source, "picture", ImageError) as file:
            return _read(file, name, as_official, MODES[channels], told)
    if not isinstance(source, Image.Image) and not (hasattr(source, "read") and hasattr(source, "seek")):
        raise ImageError(f"picture: expected a path, PIL image or uint8 array (H, W, 3), found {type(source).__name__}")
    return _read(source, name, as_official, MODES[channels], told)


def _read(source: Any, name: str, as_official: bool, mode: str, told: Counter[str]) -> Image.Image:
    """Read a binary file or a PIL image; whatever Pillow raises becomes an ImageError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of harmless metadata; the bomb limit is checked below
        try:
            with _opened(source, told) as picture:
                return _converted(picture, name, as_official, mode, told)
        except (ImageError, MemoryError):
            raise
        except UnidentifiedImageError:
            raise ImageError(
                f"picture '{name}': expected a format that Pillow reads (JPEG, PNG, ...), found {name_foreign(source)}"
            ) from None
        except Image.DecompressionBombError:
            raise ImageError(
                f"picture '{name}': expected at most {MAX_PIXELS:,} pixels, found more; make it smaller"
            ) from None
        except Exception as error:  # decoders raise many kinds: OSError, SyntaxError, ValueError, struct.error, ...
            reason = reason_of(error)
            raise ImageError(f"picture '{name}' cannot be decoded, it may be truncated: {reason}") from None


def _of_array(pixels: np.ndarray, channels: int) -> Image.Image:
    shapes = {1: "(H, W), (H, W, 1) or (H, W, 3)", 3: "(H, W, 3)", 4: "(H, W, 3) or (H, W, 4)"}
    planes = 1 if pixels.ndim == 2 and channels == 1 else pixels.shape[2] if pixels.ndim == 3 else 0
    if pixels.dtype != np.uint8 or planes not in (3, channels) or 0 in pixels.shape:
        raise ImageError(
            f"picture array: expected uint8 of shape {shapes[channels]}, found {shown(pixels.dtype)} of shape "
            f"{shown(pixels.shape)}"
        )
    if pixels.shape[0] * pixels.shape[1] > MAX_PIXELS:
        raise ImageError(f"picture array: expected at most {MAX_PIXELS:,} pixels, found shape {shown(pixels.shape)}")
    return Image.fromarray(pixels.reshape(pixels.shape[:2]) if planes == 1 else pixels).convert(MODES[channels])


def _name(source: Any) -> str:
    """What messages call a source."""
    named = os.fspath(source) if isinstance(source, (str, os.PathLike)) else getattr(source, "name", None)
    return named if isinstance(named, str) else "picture"


@contextlib.contextmanager
def _opened(source: Any, told: Counter[str]) -> Iterator[Image.Image]:
    """Open with Pillow, or with a plug-in of its that is installed."""
    if isinstance(source, Image.Image):
        yield source
        return
    if head_of(source).startswith(b"\xff\xd8" + b"\xff" * MOST_FILL):  # Pillow would step through them
        raise OSError("it has no header")
    try:
        opened = Image.open(source)
    except UnidentifiedImageError:
        kind = kind_in(head_of(source))
        if kind is None or not load_plug_in(kind):
            raise
        try:
            opened = Image.open(source)
        except UnidentifiedImageError:
            raise OSError(f"it begins as {kind.name}") from None
    with opened:
        if isinstance(opened, ImageFile.StubImageFile) or opened.format == "MPEG":  # known by name alone
            raise UnidentifiedImageError
        if opened.format == "TIFF" and (kind := kind_in(head_of(source))) is not None and kind.family == CAMERA:
            told[f"{kind.name}{TAKEN}the preview in it"] += 1
        yield opened


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Let nothing in here reach standard error: libtiff writes its remarks there by itself.

    One thread at a time, so that each puts back what was there; and the last line of a command comes behind it.
    """
    with interrupt.making:
        try:
            kept = os.dup(2)
        except OSError:  # it is closed
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def _converted(picture: Image.Image, name: str, as_official: bool, mode: str, told: Counter[str]) -> Image.Image:
    if not picture.width * picture.height:
        raise ImageError(f"picture '{name}': expected pixels, found none ({picture.width}x{picture.height})")
    if picture.width * picture.height > MAX_PIXELS:
        raise ImageError(
            f"picture '{name}': expected at most {MAX_PIXELS:,} pixels, found {picture.width}x{picture.height}"
        )
    with _unheard() if picture.format == "TIFF" else contextlib.nullcontext():
        picture.load()
    upright = picture
    if not as_official:
        with contextlib.suppress(Exception):  # broken metadata of a sound picture: take it as it stands
            upright = ImageOps.exif_transpose(picture)
    if is_deep(picture):
        upright = eight_bits(upright, picture, name, told)
    elif not as_official and mode != "RGBA":
        upright = on_white(upright)
    return upright.convert(mode)


def on_white(picture: Image.Image) -> Image.Image:
    """Lay a picture on white, in RGB, as it is shown."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    clear = picture.convert("RGBA")
    white = Image.new("RGB", picture.size, "white")
    white.paste(clear, mask=clear)
    return white


def preprocess(picture: Image.Image, preprocessing: Preprocessing) -> np.ndarray:
    """Resize the shorter side, crop the centre, normalise: RGB picture -> float32 [3, size, size].

    A picture of another mode becomes the one that the weights read: grey [1, size, size], or RGBA [4, size, size].
    Raises ImageError when the weights read event-camera frames.
    """
    if preprocessing.frames:
        raise ImageError(
            "these weights read event-camera frames, two channels of counts; expected weights for pictures"
        )
    return normalise(np.asarray(crop(picture.convert(MODES[preprocessing.channels]), preprocessing)), preprocessing)


def crop(picture: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """Resize the shorter side to `preprocessing.resize`, then cut `size` x `size` pixels out of the centre."""
    width, height = picture.size
    short = preprocessing.resize
    target = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    if target[0] * target[1] > MAX_PIXELS:
        raise ImageError(
            f"picture of {width}x{height} pixels is too elongated to be resized to {target[0]}x{target[1]}"
        )
    # colours count by their opacity, as in Pillow's own resize, which would round them between the two steps
    mode = "RGBa" if picture.mode == "RGBA" and target != picture.size and preprocessing.filter != "nearest" else None
    picture, given = picture.convert(mode), picture.mode
    # in two steps, since Pillow 12 and older resize rows first, and newer ones whichever way is cheaper: other pixels
    for step in ((target[0], height), target):
        picture = picture.resize(step, Image.Resampling[preprocessing.filter.upper()])
    picture = picture.convert(given)
    # Python rounds halves to even, and the official offsets depend on it: 235 -> 224 starts at 6
    left, top = round((target[0] - preprocessing.size) / 2), round((target[1] - preprocessing.size) / 2)
    return picture.crop((left, top, left + preprocessing.size, top + preprocessing.size))


def normalise(pixels: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """uint8 [H, W, C] or [H, W] -> float32 [C, H, W]; the formulas differ in last bits, so the weights name theirs."""
    planes = np.moveaxis(np.atleast_3d(pixels), -1, 0).astype(np.float32)
    mean, std = np.array(preprocessing.mean)[:, None, None], np.array(preprocessing.std)[:, None, None]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # absurd settings: the model refuses the result
        if preprocessing.formula == "prefetcher":
            return (planes - (255 * mean).astype(np.float32)) / (255 * std).astype(np.float32)
        return (planes / np.float32(255) - mean.astype(np.float32)) / std.astype(np.float32)
