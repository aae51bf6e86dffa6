"""Grey of more than 8 bits: a declared depth says what white is, and of 32 bits the range does, or it is refused."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdt_ref import ImageError
from sdt_ref.inputs.image import open_picture
from sdt_ref.inputs.reading import read
from sdt_ref.weights.config import Preprocessing
from tests.equality import assert_same
from tests.pictures import tiff

GREY = np.random.default_rng(0).integers(0, 256, (40, 60), np.uint8)
GREY[0, :2] = 0, 255
FRACTIONS = {"32-bit grey within 0 to 1 taken as black to white": 1}
BYTES = {"32-bit grey within 0 to 255 taken as black to white": 1}
WORDS = {"32-bit grey within 0 to 65535 taken as black to white": 1}


def in_file(picture: Image.Image, kind: str) -> io.BytesIO:
    stream = io.BytesIO()
    picture.save(stream, kind)
    return stream


def pgm(values: np.ndarray, most: int) -> io.BytesIO:
    return io.BytesIO(b"P5 %d %d %d\n" % (*values.shape[::-1], most) + values.astype(">u2").tobytes())


SAME_PICTURE = {
    "float32 TIFF of fractions": (lambda: io.BytesIO(tiff(GREY.astype(np.float32) / 255)), FRACTIONS),
    "float32 TIFF, big-endian": (lambda: io.BytesIO(tiff(GREY.astype(np.float32) / 255, big_endian=True)), FRACTIONS),
    "float32 TIFF, white is zero": (lambda: io.BytesIO(tiff(1 - GREY.astype(np.float32) / 255, photometric=0)), FRACTIONS),
    "float32 TIFF to 255": (lambda: io.BytesIO(tiff(GREY.astype(np.float32))), BYTES),
    "float32 TIFF to 65535": (lambda: io.BytesIO(tiff(GREY.astype(np.float32) * 257)), WORDS),
    "int32 TIFF to 255": (lambda: io.BytesIO(tiff(GREY.astype(np.int32))), BYTES),
    "uint32 TIFF to 255": (lambda: io.BytesIO(tiff(GREY.astype(np.uint32))), BYTES),
    "int32 TIFF to 65535": (lambda: io.BytesIO(tiff(GREY.astype(np.int32) * 257)), WORDS),
    "mode F": (lambda: Image.fromarray(GREY.astype(np.float32) / 255), FRACTIONS),
    "mode I": (lambda: Image.fromarray(GREY.astype(np.int32)), BYTES),
    "16-bit PNG": (lambda: in_file(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG"), {}),
    "16-bit TIFF": (lambda: io.BytesIO(tiff(GREY.astype(np.uint16) * 257)), {}),
    "16-bit TIFF, big-endian": (lambda: io.BytesIO(tiff(GREY.astype(np.uint16) * 257, big_endian=True)), {}),
    "12-bit TIFF": (lambda: io.BytesIO(tiff(np.rint(GREY * (4095 / 255)).astype(np.uint16), bits=12)), {}),
    "16-bit PGM": (lambda: pgm(GREY.astype(np.uint16) * 257, 65535), {}),
    "10-bit PGM": (lambda: pgm(np.rint(GREY * (1023 / 255)), 1023), {}),
    "8-bit PNG": (lambda: in_file(Image.fromarray(GREY), "PNG"), {}),
}  # fmt: skip


@pytest.mark.parametrize("as_official", [False, True])
@pytest.mark.parametrize("name", SAME_PICTURE)
def test_any_depth_shows_the_same_picture_and_what_was_assumed_is_told(name: str, as_official: bool) -> None:
    make, expected = SAME_PICTURE[name]
    told: Counter[str] = Counter()
    grey = open_picture(make(), channels=1, as_official=as_official, told=told)
    assert_same(np.asarray(grey), GREY, name)
    assert_same(np.asarray(open_picture(make(), as_official=as_official)), np.stack([GREY] * 3, axis=2), name)
    assert told == expected


@pytest.mark.parametrize("values", [np.arange(16) * 9 + 100, np.array([0, 0, 255, 255])])
def test_a_depth_that_is_declared_wins_over_the_range(values: np.ndarray) -> None:
    """A dark picture of 16 bits stays dark: these are 0 or 1 of 255, whatever 8 bits would make of them."""
    pixels = values.astype(np.uint16)[None]
    dark = np.rint(pixels / 257).astype(np.uint8)
    for source in (in_file(Image.fromarray(pixels), "PNG"), io.BytesIO(tiff(pixels)), pgm(pixels, 65535)):
        told: Counter[str] = Counter()
        assert_same(np.asarray(open_picture(source, channels=1, told=told)), dark, "dark")
        assert not told


OTHER_RANGES = {
    "below zero": (np.array([-0.5, 0.5], np.float32), "32-bit grey within 0 to 1, 255 or 65535, found -0.5 to 0.5; scale"),
    "signed": (np.array([-128, 127], np.int32), "found whole numbers from -128 to 127; scale it, or save it with 8 or 16"),
    "beyond 16 bits": (np.array([0, 65536], np.int32), "found whole numbers from 0 to 65536; scale"),
    "all of 32 bits": (np.array([0, 2**32 - 1], np.uint32), "found whole numbers from 0 to 4.2949673e+09; scale"),
    "a mask": (np.array([0, 1], np.int32), "found whole numbers from 0 to 1, which leaves open what white is; scale"),
    "just above 1": (np.array([0, 1.02], np.float32), "found 0 to 1.01999998, which leaves open what white is"),
    "10 bits": (np.array([0, 1023], np.int32), "found whole numbers from 0 to 1023, which leaves open what white is"),
    "just above 255": (np.array([0, 255.5], np.float32), "found 0 to 255.5, which leaves open what white is"),
    "fractions of 65535": (np.array([0.5, 60000], np.float32), "found 0.5 to 60000, which leaves open what white is"),
    "NaN": (np.array([0, np.nan], np.float32), "expected finite pixel values, found NaN or infinite"),
    "16 bits with a sign": (np.array([-1, 9], np.int16), "expected grey within 0 to 65535, found whole numbers from -1 to 9"),
}  # fmt: skip


@pytest.mark.parametrize("as_official", [False, True])
@pytest.mark.parametrize("name", OTHER_RANGES)
def test_any_other_range_is_refused_with_what_was_found(tmp_path: Path, name: str, as_official: bool) -> None:
    values, message = OTHER_RANGES[name]
    (tmp_path / "grey.tif").write_bytes(tiff(values[None]))
    with pytest.raises(ImageError) as caught:
        open_picture(tmp_path / "grey.tif", as_official=as_official)
    assert message in str(caught.value)
    assert "grey.tif" in str(caught.value)


def test_black_and_fractions_are_clear() -> None:
    """Black is black whatever white is; fractions to 1 have one reading, however dark."""
    assert not np.asarray(open_picture(Image.fromarray(np.zeros((2, 2), np.int32)))).any()
    dim = open_picture(Image.fromarray(np.array([[0, 0.05]], np.float32)), channels=1)
    assert np.asarray(dim).tolist() == [[0, 13]]
    assert np.asarray(open_picture(Image.fromarray(np.eye(2, dtype=np.float32)), channels=1)).tolist() == [
        [255, 0],
        [0, 255],
    ]


def test_the_ends_of_what_is_clear() -> None:
    for most in (16, 255, 4096, 65535):
        brightest = open_picture(Image.fromarray(np.array([[most]], np.int32)), channels=1)
        assert np.asarray(brightest)[0, 0] == np.rint(most * 255 / (255 if most < 256 else 65535)), most
    for most in (1, 15, 256, 4095, 65536):
        with pytest.raises(ImageError, match=f"found whole numbers from {most} to {most}"):
            open_picture(Image.fromarray(np.array([[most]], np.int32)))


def test_reading_counts_what_was_assumed() -> None:
    told: Counter[str] = Counter()
    for _ in range(3):
        read(Image.fromarray(GREY.astype(np.float32)), Preprocessing(8), 4, as_official=True, repairs=told)
    assert told == dict.fromkeys(BYTES, 3)
