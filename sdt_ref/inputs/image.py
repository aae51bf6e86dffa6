"""A picture becomes the network's input, as in the official evaluation: upright, RGB, resized, cropped, normalised."""

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import ImageError, require_file
from ..weights.config import Preprocessing

MAX_PIXELS = 89_478_485  # where Pillow begins to warn of a decompression bomb; below 1 GB in any mode
ROWS = 256  # rows converted at a time


def open_picture(source: Any, *, as_official: bool = False) -> Image.Image:
    """Open a picture as 8-bit RGB.

    Parameters
    ----------
    source : path, binary file, PIL image, or uint8 array (H, W, 3)
        grey, palette, CMYK and 16-bit pictures are converted; transparency is laid on white; EXIF rotation is applied
    as_official : do as the official evaluation does instead, convert("RGB") alone: no rotation, transparency dropped

    Raises
    ------
    ImageError
        not a picture, truncated, or too large to be safe
    """
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3 or 0 in source.shape:
            raise ImageError(
                f"picture array: expected uint8 of shape (H, W, 3), found {source.dtype} of shape {source.shape}"
            )
        return Image.fromarray(source)
    name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else "picture"
    if isinstance(source, (str, os.PathLike)):
        require_file(Path(source), "picture", ImageError)
    elif not hasattr(source, "read") and not isinstance(source, Image.Image):
        raise ImageError(f"picture: expected a path, PIL image or uint8 array (H, W, 3), found {type(source).__name__}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of harmless metadata; the bomb limit is checked below
        try:
            if isinstance(source, Image.Image):
                return _rgb(source, name, as_official)
            with Image.open(source) as opened:
                return _rgb(opened, name, as_official)
        except (ImageError, MemoryError):
            raise
        except UnidentifiedImageError:
            raise ImageError(
                f"picture '{name}': expected a format that Pillow reads (JPEG, PNG, ...), found none"
            ) from None
        except Image.DecompressionBombError:
            raise ImageError(
                f"picture '{name}': expected at most {MAX_PIXELS:,} pixels, found more; make it smaller"
            ) from None
        except PermissionError as error:
            raise ImageError(f"picture '{name}' cannot be read: {error.strerror}") from None
        except Exception as error:  # decoders raise many kinds: OSError, SyntaxError, ValueError, struct.error, ...
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ImageError(f"picture '{name}' cannot be decoded, it may be truncated: {reason}") from None


def _rgb(picture: Image.Image, name: str, as_official: bool) -> Image.Image:
    if not picture.width * picture.height:
        raise ImageError(f"picture '{name}': expected pixels, found none ({picture.width}x{picture.height})")
    if picture.width * picture.height > MAX_PIXELS:
        raise ImageError(
            f"picture '{name}': expected at most {MAX_PIXELS:,} pixels, found {picture.width}x{picture.height}"
        )
    if as_official:
        return picture.convert("RGB")
    picture.load()
    try:
        upright = ImageOps.exif_transpose(picture)
    except Exception:  # broken metadata of a sound picture: take it as it stands
        upright = picture
    if upright.mode.startswith("I;16") or upright.mode in ("I", "F"):
        return _eight_bit(upright, name)
    if upright.has_transparency_data:
        clear = upright.convert("RGBA")
        white = Image.new("RGB", upright.size, "white")
        white.paste(clear, mask=clear)
        return white
    return upright.convert("RGB")


def _eight_bit(picture: Image.Image, name: str) -> Image.Image:
    """Scale grey of more than 8 bits: whole numbers from 0..65535, fractions from 0..1."""
    values = np.asarray(picture)
    eight = np.empty(values.shape, np.uint8)
    for first in range(0, len(values), ROWS):
        rows = values[first : first + ROWS].astype(np.float64)
        if not np.isfinite(rows).all():
            raise ImageError(f"picture '{name}': expected finite pixel values, found NaN or infinite")
        scaled = rows * 255 if picture.mode == "F" else rows / 257
        eight[first : first + ROWS] = np.clip(np.rint(scaled), 0, 255)
    return Image.fromarray(eight).convert("RGB")


def preprocess(picture: Image.Image, preprocessing: Preprocessing) -> np.ndarray:
    """Resize the shorter side, crop the centre, normalise: RGB picture -> float32 [3, size, size].

    Raises ImageError when the weights read event-camera frames.
    """
    if preprocessing.frames:
        raise ImageError(
            "these weights read event-camera frames, two channels of counts; expected weights for pictures"
        )
    return normalise(np.asarray(crop(picture, preprocessing)), preprocessing)


def crop(picture: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """Resize the shorter side to `preprocessing.resize`, then cut `size` x `size` pixels out of the centre."""
    width, height = picture.size
    short = preprocessing.resize
    target = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    if target[0] * target[1] > MAX_PIXELS:
        raise ImageError(
            f"picture of {width}x{height} pixels is too elongated to be resized to {target[0]}x{target[1]}"
        )
    # in two steps, since Pillow 12 and older resize rows first, and newer ones whichever way is cheaper: other pixels
    for step in ((target[0], height), target):
        picture = picture.resize(step, Image.Resampling[preprocessing.filter.upper()])
    # Python rounds halves to even, and the official offsets depend on it: 235 -> 224 starts at 6
    left, top = round((target[0] - preprocessing.size) / 2), round((target[1] - preprocessing.size) / 2)
    return picture.crop((left, top, left + preprocessing.size, top + preprocessing.size))


def normalise(pixels: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """uint8 [H, W, 3] -> float32 [3, H, W]; the two formulas differ in the last bits, so the weights name theirs."""
    planes = np.moveaxis(pixels, -1, 0).astype(np.float32)
    mean, std = np.array(preprocessing.mean)[:, None, None], np.array(preprocessing.std)[:, None, None]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # absurd settings: the model refuses the result
        if preprocessing.formula == "prefetcher":
            return (planes - (255 * mean).astype(np.float32)) / (255 * std).astype(np.float32)
        return (planes / np.float32(255) - mean.astype(np.float32)) / std.astype(np.float32)
