"""What people have beside recordings that are read, named for what it is by its first bytes, and what to do."""

import re
from collections.abc import Callable

Test = Callable[[bytes], object]

COLUMNS = "numpy.savez('r.npz', t=t, x=x, y=y, p=p)"
EXPORT = f"read its events with a package of ROS (such as rosbags), and save them: {COLUMNS}"
VIDEO = "it has pictures, no events; a simulator, such as v2e, makes events of it"
UNPACK = "unpack it, and give the recording in it"
AGAIN = "it is not the file itself; download that"
PICTURE = "expected a recording of an event camera"


def _begins(*magic: bytes) -> Test:
    return lambda head: head.startswith(magic)


def _at(position: int, *magic: bytes) -> Test:
    return lambda head: head.startswith(magic, position)


def _media(*kinds: bytes) -> Test:
    """A container of Apple's kind, of a brand; without any, of every brand that is none of a picture."""
    pictures = b"avif", b"avis", b"heic", b"heix", b"heif", b"mif1", b"msf1", b"jxl "
    return lambda head: head[4:8] == b"ftyp" and (head[8:12] in kinds if kinds else head[8:12] not in pictures)


def _riff(kind: bytes) -> Test:
    return lambda head: head.startswith(b"RIFF") and head[8:12] == kind


def _zip(fits: Callable[[bytes], object]) -> Test:
    """A zip by the name of its first member."""
    return lambda head: head.startswith(b"PK\3\4") and fits(head[30 : 30 + int.from_bytes(head[26:28], "little")])


EBML = b"\x1aE\xdf\xa3"
PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<!--.{0,1000}?-->\s*)?<(?:!doctype\s+html|html|head|body)\b", re.I | re.S)
PICKLE = re.compile(rb"\x80[\x02-\x05](?:\x95|[}\](cX\x8a\x8c])")

# what it is, how it is told, what to do; the first that fits
RECORDINGS: list[tuple[str, Test, str]] = [
    ("a ROS bag", _begins(b"#ROSBAG V"), EXPORT),
    ("an SQLite database, as ROS 2 keeps its bags in (.db3)", _begins(b"SQLite format 3\0"), EXPORT),
    ("an MCAP file, as ROS 2 keeps its bags in", _begins(b"\x89MCAP0\r\n"), EXPORT),
    ("a MATLAB file (.mat)", _begins(b"MATLAB "), f"read it with MATLAB or scipy.io, and save: {COLUMNS}"),
    ("a video (QuickTime)", _media(b"qt  "), VIDEO),
    ("a video (MP4)", _media(), VIDEO),
    ("a video (QuickTime)", _at(4, b"moov", b"mdat", b"wide"), VIDEO),
    ("a video (AVI)", _riff(b"AVI "), VIDEO),
    ("a video (WebM)", lambda head: head.startswith(EBML) and b"webm" in head[:64], VIDEO),
    ("a video (Matroska)", _begins(EBML), VIDEO),
    ("a video (MPEG)", _begins(b"\0\0\1\xba", b"\0\0\1\xb3"), VIDEO),
    ("a video (Ogg)", _begins(b"OggS"), VIDEO),
    ("a video (Flash)", _begins(b"FLV\1"), VIDEO),
    ("a video (Windows Media)", _begins(b"0&\xb2u\x8ef\xcf\x11"), VIDEO),
    ("an Event Stream (.es)", _begins(b"Event Stream"), f"convert it with loris or faery, or save: {COLUMNS}"),
]
OTHERS: list[tuple[str, Test, str]] = [
    ("a picture (JPEG)", _begins(b"\xff\xd8\xff"), PICTURE),
    ("a picture (PNG)", _begins(b"\x89PNG\r\n\x1a\n"), PICTURE),
    ("a picture (GIF)", _begins(b"GIF8"), PICTURE),
    ("a picture (TIFF)", _begins(b"II*\0", b"MM\0*"), PICTURE),
    ("a picture (BMP)", lambda head: head.startswith(b"BM") and head[6:10] == bytes(4), PICTURE),
    ("a picture (WebP)", _riff(b"WEBP"), PICTURE),
    ("a picture (HEIF or AVIF)", _at(4, b"ftyp"), PICTURE),
    ("a checkpoint of PyTorch", _zip(lambda name: name.endswith(b"/data.pkl")), PICTURE),
    ("a zip archive that is no .npz", _zip(re.compile(rb"(?:.*/|.*\.(?!npy$)\w+)$", re.S).match), UNPACK),
    ("a tar archive", _at(257, b"ustar"), UNPACK),
    ("compressed (gzip)", _begins(b"\x1f\x8b\x08"), UNPACK),
    ("compressed (bzip2)", lambda head: re.match(rb"BZh[1-9]1AY&SY", head), UNPACK),
    ("compressed (xz)", _begins(b"\xfd7zXZ\0"), UNPACK),
    ("compressed (zstd)", _begins(b"(\xb5/\xfd"), UNPACK),
    ("compressed (LZ4)", _begins(b"\4\x22M\x18"), UNPACK),
    ("a 7z archive", _begins(b"7z\xbc\xaf\x27\x1c"), UNPACK),
    ("a RAR archive", _begins(b"Rar!\x1a\7"), UNPACK),
    ("a PDF document", _begins(b"%PDF-"), PICTURE),
    ("an HTML page", PAGE.match, f"{AGAIN} again, logged in if need be"),
    ("a Git-LFS pointer", _begins(b"version https://git-lfs.github.com/spec/"), f"{AGAIN}: git lfs pull"),
    ("a Python pickle", PICKLE.match, f"it may run programs, so it is not read; where it was made, save: {COLUMNS}"),
    ("a Parquet table", _begins(b"PAR1"), f"read it with pandas or polars, and save: {COLUMNS}"),
    ("an Arrow table", _begins(b"ARROW1"), f"read it with pandas or polars, and save: {COLUMNS}"),
]


def name_recording(head: bytes) -> str | None:
    """Name a recording that is not read, or a video, by its first bytes; None for everything else."""
    return _named(head, RECORDINGS)


def name_foreign(head: bytes) -> str | None:
    """Name what is no recording that is read, and say what to do; None for what is not known."""
    return _named(head, RECORDINGS + OTHERS)


def _named(head: bytes, kinds: list[tuple[str, Test, str]]) -> str | None:
    return next((f"{what}; {remedy}" for what, fits, remedy in kinds if fits(head)), None)
