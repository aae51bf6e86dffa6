"""What a file is, in words, by its first bytes. Each room adds what to do about it."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

TEXT = 4096  # bytes in which a document says what it is
RECORDING, VIDEO, PICTURE, CAMERA, ARCHIVE = "recording", "video", "picture", "camera", "archive"
ARRAYS, TABLE, NETWORK, DOCUMENT, INSTEAD = "arrays", "table", "network", "document", "instead of the file"
ZIP, HDF5, TIFF, AVIF = "a zip archive", "an HDF5 file", "a TIFF picture", "an AVIF picture"

Test = Callable[[bytes], object]


class Kind(NamedTuple):
    """A kind of file: its name in words, with an article, and the family whose kinds are dealt with alike."""

    name: str
    family: str

    def advice(self, remedies: Mapping[str, str], otherwise: str) -> str:
        """Say what the file is and what to do, by remedies for names, or else for families."""
        return f"{self.name}; {remedies.get(self.name) or remedies.get(self.family) or otherwise}"


def kind_of(head: bytes) -> Kind | None:
    """Name a file by its first bytes, of which 4096 tell most; None for text, and for what is not known."""
    for family, kinds in KINDS.items():
        for name, test in kinds:
            if test(head) if callable(test) else re.match(test, head, re.DOTALL):
                return Kind(name, family)
    return None


def first_member(head: bytes) -> bytes:
    """The name of the first file in a zip archive; empty where there is none."""
    return head[30 : 30 + int.from_bytes(head[26:28], "little")] if head.startswith(b"PK\3\4") else b""


def utf8(text: bytes) -> bytes:
    """A text without its byte order mark, of which one in UTF-16 becomes UTF-8."""
    wide = text.startswith((b"\xff\xfe", b"\xfe\xff"))
    return text.decode("utf-16", "ignore").encode() if wide else text.removeprefix(b"\xef\xbb\xbf")


def _media(*brands: bytes) -> Test:
    """An ISO media file that says, in its first box, that it is of one of these brands."""

    def fits(head: bytes) -> bool:
        ends = range(16, min(int.from_bytes(head[:4]), 256), 4)
        return head[4:8] == b"ftyp" and not {head[8:12], *(head[at : at + 4] for at in ends)}.isdisjoint(brands)

    return fits


def _markup(root: bytes) -> Test:
    """A text of tags, by what stands behind comments and instructions, none of which is looked at twice."""
    match = re.compile(rb"\s*(?><\?.*?\?>\s*|<!--.*?-->\s*)*+<" + root, re.DOTALL | re.IGNORECASE).match
    return lambda head: match(utf8(head[:TEXT]))


# what fits first is it; where the first bytes are letters alone, those behind them tell it from text
KINDS: dict[str, tuple[tuple[str, bytes | Test], ...]] = {
    RECORDING: (
        ("a ROS bag", rb"#ROSBAG V\d"),
        ("an SQLite database, as ROS 2 keeps its bags in (.db3)", rb"SQLite format 3\0"),
        ("an MCAP file, as ROS 2 keeps its bags in", rb"\x89MCAP0\r\n"),
        ("a MATLAB file (.mat)", rb"MATLAB \d\.\d MAT-file"),
        ("an Event Stream (.es)", rb"Event Stream[\0-\x08]"),
    ),
    CAMERA: (
        ("a camera's RAW file (CR2)", rb"II\*\0.{4}CR\x02"),
        ("a camera's RAW file (CR3)", _media(b"crx ")),
        ("a camera's RAW file (RAF)", rb"FUJIFILMCCD-RAW"),
        ("a camera's RAW file (ORF)", rb"IIR[OS]..\0\0|MMOR\0\0"),
        ("a camera's RAW file (RW2)", rb"IIU\0"),
    ),
    PICTURE: (
        (AVIF, _media(b"avif", b"avis")),
        ("an HEIC picture", _media(*b"heic heix heim heis heif hevc hevx mif1 msf1".split())),
        ("a JPEG XL picture", rb"\xff\n|\0\0\0\x0cJXL \r\n\x87\n"),
        ("a JPEG picture", rb"\xff\xd8\xff"),
        ("a PNG picture", rb"\x89PNG\r\n\x1a\n"),
        ("a GIF picture", rb"GIF8[79]a"),
        (TIFF, rb"II[*+]\0|MM\0[*+]"),
        ("a BMP picture", rb"BM.{4}\0{4}"),
        ("a WebP picture", rb"RIFF.{4}WEBP"),
        ("an SVG drawing", _markup(rb"(?:!doctype\s+)?(?:\w+:)?svg[\s/>\[]")),
    ),
    VIDEO: (
        ("a video (QuickTime)", rb"[\0-\x1f].{3}(?:ftypqt  |moov|mdat|wide)"),
        ("a video (MP4)", rb"\0.{3}ftyp"),
        ("a video (AVI)", rb"RIFF.{4}AVI "),
        ("a video (WebM)", rb"\x1aE\xdf\xa3.{,60}webm"),
        ("a video (Matroska)", rb"\x1aE\xdf\xa3"),
        ("a video (MPEG)", rb"\0\0\x01[\xba\xb3]"),
        ("a video (Ogg)", rb"OggS\0"),
        ("a video (Flash)", rb"FLV\x01"),
        ("a video (Windows Media)", rb"0&\xb2u\x8ef\xcf\x11"),
    ),
    NETWORK: (
        ("a checkpoint of PyTorch", lambda head: first_member(head).endswith(b"/data.pkl")),
        ("a safetensors file", rb'.{6}\0\0\{\s*"[^"]*"\s*:\s*\{'),
        ("a GGUF file", rb"GGUF[\x01-\x1f]\0\0\0"),
        ("a Python pickle", rb"\x80[\x02-\x05](?:\x95|[}\](cX\x8a\x8c])"),
    ),
    ARRAYS: (
        ("a NumPy array (.npy)", rb"\x93NUMPY"),
        ("a NumPy archive (.npz)", lambda head: first_member(head).endswith(b".npy")),
        (HDF5, rb"\x89HDF\r\n\x1a\n"),
    ),
    ARCHIVE: (
        (ZIP, rb"PK\x03\x04"),
        ("a tar archive", rb".{257}ustar"),
        ("a gzip archive", rb"\x1f\x8b\x08"),
        ("a bzip2 archive", rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
        ("an xz archive", rb"\xfd7zXZ\0"),
        ("a zstd archive", rb"\(\xb5/\xfd"),
        ("an LZ4 archive", rb"\x04\x22M\x18"),
        ("a 7z archive", rb"7z\xbc\xaf\x27\x1c"),
        ("a RAR archive", rb"Rar!\x1a\x07"),
    ),
    TABLE: (("a Parquet table", rb"PAR1[\0-\x1f]"), ("an Arrow table", rb"ARROW1\0\0")),
    INSTEAD: (
        ("a Git LFS pointer", rb"version https://git-lfs\.github\.com/spec/"),
        ("an empty zip archive", rb"PK\x05\x06"),
        ("an HTML page", _markup(rb"(?:!doctype\s+html|html|head|body|script|title|meta|div|iframe)\b")),
        ("an XML text", _markup(rb"(?:!doctype\s|[a-z_][\w.:-]*[\s/>])")),
    ),
    DOCUMENT: (("a PDF document", rb"%PDF-\d"), ("a program", rb"\x7fELF")),
}
