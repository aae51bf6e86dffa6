"""Any picture becomes the input that the official evaluation would make of it."""

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import sdt_ref
from sdt_ref import ImageError, interrupt
from sdt_ref.inputs import image
from sdt_ref.inputs.image import crop, normalise, open_picture, preprocess
from sdt_ref.weights.config import Preprocessing
from tests.equality import assert_same
from tests.pictures import weights_for

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (40, 60, 3), np.uint8)
CIFAR = Preprocessing(32, 1.0, "bicubic", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
IMAGENET = Preprocessing(224, 0.95, "bicubic", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), large_valid=True)


def encoded(picture: Image.Image, kind: str, **options: Any) -> io.BytesIO:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    stream.seek(0)
    return stream


# --- opening ----------------------------------------------------------------------------------------------------------


def test_threads_that_silence_standard_error_put_it_back() -> None:
    """Each has to find it as it was: the second waits for the first, for as long as this one is in there."""
    before, entered, both = os.fstat(2), threading.Event(), threading.Event()

    def first() -> None:
        with image._unheard():
            entered.set()
            assert not both.wait(0.2)

    def second() -> None:
        assert entered.wait(60)
        with image._unheard():
            both.set()

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(first), threads.submit(second)]:
            done.result()
    assert os.path.samestat(os.fstat(2), before)


def test_a_command_that_is_interrupted_amid_a_tiff_still_has_its_last_line() -> None:
    """Another thread reads it: the end comes behind it."""
    code = """
import signal, sys, threading, time
sys.argv = ["sdt-ref"]
from sdt_ref import interrupt
from sdt_ref.inputs import image
inside = threading.Event()
def read():
    with image._unheard():
        inside.set()
        time.sleep(0.2)
threading.Thread(target=read).start()
inside.wait()
signal.raise_signal(signal.SIGINT)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (interrupt.INTERRUPTED, "interrupted")


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "LAB", "I;16", "I", "F"])
def test_any_mode_becomes_rgb(mode: str) -> None:
    if mode == "I;16":
        picture = Image.fromarray((PHOTO[..., 0].astype(np.uint16) << 8) | PHOTO[..., 0])
    elif mode in ("I", "F"):
        scale = 257 if mode == "I" else 1 / 255
        picture = Image.fromarray((PHOTO[..., 0].astype(float) * scale).astype(np.int32 if mode == "I" else np.float32))
    else:
        picture = Image.fromarray(PHOTO).convert("P" if mode == "P" else "RGB").convert(mode)
    opened = open_picture(picture)
    assert (opened.mode, opened.size) == ("RGB", (60, 40))
    if mode in ("I;16", "I", "F"):  # grey of any depth shows the same picture
        assert_same(np.asarray(opened), np.repeat(PHOTO[..., :1], 3, axis=2), mode)


def test_transparent_pixels_lie_on_white() -> None:
    clear = np.zeros((2, 2, 4), np.uint8)
    assert (np.asarray(open_picture(Image.fromarray(clear))) == 255).all()
    palette = Image.fromarray(np.zeros((2, 2), np.uint8), "P")
    palette.putpalette([10, 20, 30])
    assert np.asarray(open_picture(encoded(palette, "PNG", transparency=0)))[0, 0].tolist() == [255] * 3


def test_exif_rotation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned a quarter clockwise
    stream = encoded(Image.fromarray(PHOTO), "PNG", exif=exif)
    assert_same(np.asarray(open_picture(stream)), np.rot90(PHOTO, -1), "turned")
    assert_same(np.asarray(open_picture(stream, as_official=True)), PHOTO, "the official evaluation does not turn")


def test_broken_metadata_of_a_sound_picture_is_ignored() -> None:
    stream = encoded(Image.fromarray(PHOTO), "PNG", exif=b"Exif\0\0junk")
    assert_same(np.asarray(open_picture(stream)), PHOTO, "as it stands")


def test_arrays_paths_and_pictures_are_the_same(tmp_path: Path) -> None:
    Image.fromarray(PHOTO).save(tmp_path / "p.png")
    path = tmp_path / "p.png"
    for source in (PHOTO, Image.fromarray(PHOTO), path, str(path), io.BytesIO(path.read_bytes())):
        assert_same(np.asarray(open_picture(source)), PHOTO, str(source))


# --- one channel and four ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "LAB"])
def test_any_mode_becomes_grey_or_rgba(mode: str) -> None:
    picture = Image.fromarray(PHOTO).convert("P" if mode == "P" else "RGB").convert(mode)
    rgb = picture.convert("RGB")
    grey, clear = open_picture(picture, channels=1), open_picture(picture, channels=4)
    assert_same(np.asarray(grey), np.asarray(rgb.convert("L")), mode)
    assert_same(np.asarray(clear), np.dstack([np.asarray(rgb), np.full(PHOTO.shape[:2], 255, np.uint8)]), mode)


def test_opacity_is_kept_for_rgba_and_laid_on_white_for_grey() -> None:
    clear = np.dstack([PHOTO, np.arange(2400, dtype=np.uint8).reshape(40, 60)])
    picture = Image.fromarray(clear)
    for source in (picture, encoded(picture, "PNG")):
        assert_same(np.asarray(open_picture(source, channels=4)), clear, "kept")
        white = open_picture(source)
        assert_same(np.asarray(open_picture(source, channels=1)), np.asarray(white.convert("L")), "on white")
    official = open_picture(picture, channels=1, as_official=True)
    assert_same(np.asarray(official), np.asarray(Image.fromarray(PHOTO).convert("L")), "dropped")
    palette = Image.fromarray(np.zeros((2, 2), np.uint8), "P")
    palette.putpalette([10, 20, 30])
    shown = open_picture(encoded(palette, "PNG", transparency=0), channels=4)
    assert np.asarray(shown)[0, 0].tolist() == [10, 20, 30, 0]


def test_arrays_of_grey_and_rgba() -> None:
    grey, clear = PHOTO[..., 0], np.dstack([PHOTO, PHOTO[..., 0]])
    assert_same(np.asarray(open_picture(grey, channels=1)), grey, "(H, W)")
    assert_same(np.asarray(open_picture(grey[..., None], channels=1)), grey, "(H, W, 1)")
    assert_same(np.asarray(open_picture(clear, channels=4)), clear, "(H, W, 4)")
    for channels in (1, 4):
        same = open_picture(Image.fromarray(PHOTO), channels=channels)
        assert_same(np.asarray(open_picture(PHOTO, channels=channels)), np.asarray(same), "(H, W, 3)")


@pytest.mark.parametrize(
    ("channels", "shape", "message"),
    [
        (
            1,
            (2, 2, 4),
            r"expected uint8 of shape \(H, W\), \(H, W, 1\) or \(H, W, 3\), found uint8 of shape \(2, 2, 4\)",
        ),
        (1, (0, 2), "found uint8 of shape"),
        (3, (2, 2, 1), r"expected uint8 of shape \(H, W, 3\), found"),
        (3, (2, 2, 4), r"expected uint8 of shape \(H, W, 3\), found"),
        (4, (2, 2), r"expected uint8 of shape \(H, W, 3\) or \(H, W, 4\), found"),
        (4, (2, 2, 1), r"expected uint8 of shape \(H, W, 3\) or \(H, W, 4\), found"),
    ],
)
def test_an_array_of_other_channels(channels: int, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        open_picture(np.zeros(shape, np.uint8), channels=channels)


def test_grey_and_rgba_are_normalised_channel_by_channel() -> None:
    """(u8 - 255 mean) / (255 std), by hand."""
    grey = Preprocessing(1, 1.0, mean=(0.2,), std=(0.5,))
    x = preprocess(open_picture(np.array([[51]], np.uint8), channels=1), grey)
    assert (x.shape, x.dtype, x.item()) == ((1, 1, 1), np.float32, 0.0)
    clear = Preprocessing(1, 1.0, mean=(0.0, 0.2, 0.4, 0.6), std=(1.0, 1.0, 1.0, 0.4))
    x = preprocess(open_picture(np.array([[[255, 51, 102, 255]]], np.uint8), channels=4), clear)
    assert x[:, 0, 0] == pytest.approx([1, 0, 0, 1], abs=1e-6)
    shown = np.asarray(preprocess(open_picture(PHOTO), Preprocessing(32, mean=(0.5,), std=(0.5,))))
    assert_same(shown, preprocess(open_picture(PHOTO, channels=1), Preprocessing(32, mean=(0.5,), std=(0.5,))), "grey")


@pytest.mark.parametrize("name", ["bicubic", "nearest"])
def test_clear_pixels_leave_no_colour_when_a_picture_is_resized(name: str) -> None:
    """As Pillow resizes RGBA in one go: colours count by their opacity, and none comes in from clear pixels."""
    red = np.full((90, 64, 4), (200, 10, 0, 255), np.uint8)
    red[:, 31:] = 0, 0, 255, 0
    seen = np.asarray(crop(Image.fromarray(red), Preprocessing(32, 1.0, name)))
    resized = Image.fromarray(red).resize((32, 45), Image.Resampling[name.upper()])
    assert_same(seen, np.asarray(resized)[6:38], name)
    shown = seen[seen[..., 3] > 60]
    assert (shown[:, 3] < 200).any() or name == "nearest", "some are half clear"
    assert shown[:, 2].max() <= 1, "no blue comes in"
    unchanged = RNG.integers(0, 256, (40, 32, 4), np.uint8)
    assert_same(np.asarray(crop(Image.fromarray(unchanged), Preprocessing(32, 1.0, name))), unchanged[4:36], "as it is")


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims any size and holds hardly a pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


BAD_PICTURES = {
    "empty": (b"", "expected a format that Pillow reads"),
    "text": (b"not a picture", "expected a format that Pillow reads"),
    "truncated JPEG": (
        encoded(Image.fromarray(PHOTO), "JPEG").getvalue()[:400],
        "cannot be decoded, it may be truncated",
    ),
    "truncated PNG": (
        encoded(Image.fromarray(PHOTO), "PNG").getvalue()[:2000],
        "cannot be decoded, it may be truncated",
    ),
    "bomb": (bomb(100_000, 100_000), "expected at most 89,478,485 pixels"),
    "small bomb": (bomb(10_000, 10_000), "expected at most 89,478,485 pixels, found 10000x10000"),
    "no pixels": (bomb(10, 10), "cannot be decoded"),
}


@pytest.mark.parametrize("name", BAD_PICTURES)
def test_a_bad_picture_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    content, message = BAD_PICTURES[name]
    path = tmp_path / "bad.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        open_picture(path)
    assert "bad.jpg" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("absent.jpg", "does not exist"),
        (".", "found a folder"),
        (np.zeros((2, 2), np.uint8), r"expected uint8 of shape \(H, W, 3\), found uint8 of shape \(2, 2\)"),
        (np.zeros((2, 2, 3)), "found float64"),
        (np.zeros((0, 2, 3), np.uint8), "found uint8 of shape"),
        (None, "found NoneType"),
        (
            "https://example.org/a.jpg",
            "picture 'https://example.org/a.jpg' is a URL; expected a file: download it first",
        ),
        ("s3://bucket/a.jpg", "'s3://bucket/a.jpg' is a URL"),
        (os.devnull, "expected a file, found a pipe or a device; save it as a file first"),
        (Image.fromarray(np.full((2, 2), np.nan, np.float32)), "expected finite pixel values"),
        (Image.new("RGB", (0, 3)), "expected pixels, found none"),
    ],
)
def test_a_source_that_is_no_picture(source: object, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        open_picture(source)


# --- preprocessing ----------------------------------------------------------------------------------------------------


def pillow_resize(pixels: np.ndarray, width: int, height: int, support: float, weigh: Any) -> np.ndarray:
    """Pillow's resampling written out: horizontal pass, uint8, vertical pass; weights of 22 fractional bits."""

    def one_pass(rows: np.ndarray, size: int) -> np.ndarray:  # [n, in, 3] -> [n, size, 3]
        length = rows.shape[1]
        if size == length:
            return rows
        scale = length / size
        stretch = max(scale, 1.0)
        out = np.empty((rows.shape[0], size, 3), np.uint8)
        for i in range(size):
            centre = (i + 0.5) * scale
            first = max(int(centre - support * stretch + 0.5), 0)
            last = min(int(centre + support * stretch + 0.5), length)
            weights = np.array([weigh((tap - centre + 0.5) / stretch) for tap in range(first, last)])
            weights = weights / weights.sum() * (1 << 22)
            fixed = np.where(weights < 0, np.ceil(weights - 0.5), np.floor(weights + 0.5)).astype(np.int64)
            total = (rows[:, first:last].astype(np.int64) * fixed[None, :, None]).sum(axis=1)
            out[:, i] = np.clip((total + (1 << 21)) >> 22, 0, 255)
        return out

    return one_pass(one_pass(pixels, width).swapaxes(0, 1), height).swapaxes(0, 1)


def cubic(x: float) -> float:
    a, x = -0.5, abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


@settings(max_examples=20)
@given(st.integers(8, 90), st.integers(8, 90), st.sampled_from(["bicubic", "bilinear"]), st.integers(0, 99))
def test_resize_and_crop_are_the_official_ones(width: int, height: int, name: str, seed: int) -> None:
    """Shorter side to floor(size / crop_pct), the other in proportion, rounded down; centre crop, halves to even."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    how = Preprocessing(32, 0.9, name)
    short = 35
    w, h = (short, short * height // width) if width <= height else (short * width // height, short)
    support, weigh = (2.0, cubic) if name == "bicubic" else (1.0, lambda x: max(1 - abs(x), 0.0))
    resized = pillow_resize(pixels, w, h, support, weigh)
    top, left = round((h - 32) / 2), round((w - 32) / 2)
    assert_same(np.asarray(crop(Image.fromarray(pixels), how)), resized[top : top + 32, left : left + 32], "crop")


def test_colours_are_resized_by_their_opacity() -> None:
    """Times the opacity, rounded once; resized; divided by the opacity: as Pillow does, written out."""
    clear = RNG.integers(0, 256, (64, 80, 4), np.uint8)
    times = clear[..., :3].astype(int) * clear[..., 3:] + 128
    weighted = (((times >> 8) + times) >> 8).astype(np.uint8)
    colours = pillow_resize(weighted, 40, 32, 2.0, cubic).astype(int)
    opacity = pillow_resize(np.repeat(clear[..., 3:], 3, axis=2), 40, 32, 2.0, cubic)[..., :1].astype(int)
    divided = np.where(opacity % 255 == 0, colours, np.minimum(255 * colours // np.maximum(opacity, 1), 255))
    expected = np.concatenate([divided, opacity], axis=2).astype(np.uint8)
    assert_same(np.asarray(crop(Image.fromarray(clear), Preprocessing(32, 1.0))), expected[:, 4:36], "crop")


def test_the_crop_offset_rounds_halves_to_even() -> None:
    """235 -> 224 starts at 6, not 5: 5.5 rounds to 6."""
    ramp = np.repeat(np.repeat(np.arange(235, dtype=np.uint8)[:, None, None], 235, axis=1), 3, axis=2)
    assert IMAGENET.resize == 235
    assert np.asarray(crop(Image.fromarray(ramp), IMAGENET))[0, 0, 0] == 6


def test_imagenet_at_288_is_the_official_second_evaluation() -> None:
    large = IMAGENET.at(288)
    assert (large.resize, large.filter, large.formula) == (320, "bilinear", "to_tensor")
    other = IMAGENET.at(256)
    assert (other.resize, other.filter, other.formula) == (269, "bicubic", "prefetcher")
    assert CIFAR.at(288).resize == 288
    assert CIFAR.at(None) == CIFAR


def test_normalisation_literal() -> None:
    """The two official formulas, and that they are not the same in the last bits."""
    pixels = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    prefetcher = normalise(pixels, CIFAR)
    assert prefetcher.dtype == np.float32
    assert prefetcher.shape == (3, 1, 256)
    mean, std = np.float32(255 * 0.4914), np.float32(255 * 0.2470)
    assert prefetcher[0, 0, 200] == (np.float32(200) - mean) / std
    to_tensor = normalise(pixels, Preprocessing(32, 1.0, mean=CIFAR.mean, std=CIFAR.std, normalisation="to_tensor"))
    assert to_tensor[1, 0, 77] == (np.float32(77) / np.float32(255) - np.float32(0.4822)) / np.float32(0.2435)
    assert 0 < np.abs(to_tensor - prefetcher).max() < 1e-6


def test_a_cifar_image_is_neither_resized_nor_cropped() -> None:
    pixels = RNG.integers(0, 256, (32, 32, 3), np.uint8)
    assert_same(np.asarray(crop(Image.fromarray(pixels), CIFAR)), pixels, "crop")


def test_elongated_pictures() -> None:
    assert preprocess(Image.fromarray(np.zeros((1, 3000, 3), np.uint8)), CIFAR).shape == (3, 32, 32)
    with pytest.raises(ImageError, match="too elongated"):
        preprocess(Image.fromarray(np.zeros((1, 90_000, 3), np.uint8)), IMAGENET)


def test_event_camera_weights_take_no_picture() -> None:
    with pytest.raises(ImageError, match="event-camera frames"):
        preprocess(Image.fromarray(PHOTO), Preprocessing(64, frames=True))


@pytest.mark.parametrize("channels", [1, 4])
def test_a_network_of_one_channel_or_four_takes_pictures_and_arrays(channels: int, tmp_path: Path) -> None:
    model = sdt_ref.SpikeDrivenTransformer(weights_for(channels), threads=1)
    clear = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 128, np.uint8)])
    Image.fromarray(clear if channels == 4 else PHOTO).save(tmp_path / "p.png")
    array = clear if channels == 4 else np.asarray(Image.fromarray(PHOTO).convert("L"))
    assert model.predict(tmp_path / "p.png") == model.predict(array)
    mean, std = np.array(model.preprocessing.mean), np.array(model.preprocessing.std)
    seen = np.asarray(crop(Image.fromarray(array), model.preprocessing)).reshape(8, 8, channels)
    x = np.moveaxis((seen / 255 - mean) / std, -1, 0)[None]
    found = sdt_ref.SpikeDrivenTransformer(weights_for(channels), "float64", 1)
    expected = found.rank(found(x).logits[0])
    assert found.predict(array, 99) == [(label, pytest.approx(score, rel=1e-3)) for label, score in expected]


def test_predict_tells_what_it_assumed() -> None:
    told: Counter[str] = Counter()
    sdt_ref.load().predict(Image.fromarray(PHOTO[..., 0].astype(np.float32)), repairs=told)
    assert told == {"32-bit grey within 0 to 255 taken as black to white": 1}


def test_predict() -> None:
    model = sdt_ref.load()
    path = Path(sdt_ref.__file__).parent / "data" / "cat.jpg"
    ranking = model.predict(path, top=3)
    assert ranking == model.predict(np.asarray(Image.open(path)), top=3)
    assert len(ranking) == 3
    assert ranking[0][0] == "cat"
    assert sum(score for _, score in model.predict(path, top=99)) == pytest.approx(1)
    with pytest.raises(sdt_ref.InputError, match="top: expected 1 or more"):
        model.predict(path, top=0)
