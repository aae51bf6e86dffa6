"""The lines of text that Prophesee's files begin with, RAW and DAT: '% keyword value', and '% end' or no end at all.

RAW names its words, as '% evt 3.0' or '% format EVT3;height=720;width=1280' or both. DAT begins with '% Data file
containing CD events', and after the text come two bytes: kind and size of a record. The sensor is what `geometry`,
`format`, or `Width` and `Height` say; a camera's name is not enough, since other programs write one, too.
Source: Prophesee, Metavision SDK 5, RAW and DAT file formats.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import RecordingError, shown
from .checking import LARGEST

LIMIT = 1 << 18  # bytes of text; a camera writes about 300
LINE = re.compile(rb"%[\t\x20-\x7e\x80-\xff]*(?:\r?\n|$)")
END = "end"
CD = b"\x00\x08", b"\x0c\x08"  # kind and size of a record of DAT: an event; a contrast detection, which is the same
OF_RAW = {"evt", "format", "geometry", "plugin_name", "integrator_name", "system_id"}
FORMAT = re.compile(r"[A-Z][A-Za-z0-9.-]*(?:;\w+=[^;]*)*")


@dataclass(frozen=True)
class Header:
    """What the lines of a file say.

    Attributes
    ----------
    lines : (keyword in small letters, value)
    size : bytes of text
    kind : the two bytes after it
    """

    lines: list[tuple[str, str]]
    size: int
    kind: bytes

    def told(self, keyword: str) -> list[str]:
        """All values of a keyword, in order."""
        return [value for key, value in self.lines if key == keyword]

    @property
    def options(self) -> list[tuple[str, str]]:
        """What lines '% format NAME;option=value' say: ('height', '720')."""
        parts = (part for value in self.told("format") for part in value.split(";")[1:])
        return [(key.strip().lower(), value.strip()) for key, _, value in (part.partition("=") for part in parts)]

    @property
    def is_dat(self) -> bool:
        """Tell a DAT file: it says so, or its records begin as those of DAT, and it is not RAW."""
        says = any(value.lower().startswith("file containing") for value in self.told("data"))
        return says or (self.kind in CD and not self.told("evt") and not self.told("format"))

    @property
    def is_raw(self) -> bool:
        """Tell a RAW file by the keywords of cameras."""
        keywords = {key for key, _ in self.lines}
        return any(re.match(r"\d", value) for value in self.told("evt")) or (
            bool(keywords & OF_RAW) and all(map(FORMAT.fullmatch, self.told("format")))
        )


def parse_header(head: bytes) -> Header | None:
    """Read the lines of text at the beginning of a file; None where it is no file of Prophesee's."""
    lines: list[tuple[str, str]] = []
    size = 0
    while line := LINE.match(head, size):
        keyword, _, value = line[0][1:].decode("ascii", "replace").strip().partition(" ")
        size = line.end()
        if keyword.lower() == END and not value.strip():
            break
        lines.append((keyword.lower(), value.strip()))
    header = Header(lines, size, head[size : size + 2])
    return header if lines and (header.is_dat or header.is_raw) else None


def find_sensor(header: Header, name: str) -> tuple[int, int] | None:
    """Width and height that the header says, if it does.

    Raises RecordingError when it says two, or no sensible one, or has no end.
    """
    if header.size > LIMIT:
        raise RecordingError(f"recording '{name}': expected a text header of at most {LIMIT} bytes, found no end of it")
    said = set(_sizes(header))
    if len(said) > 1:
        listed = " and ".join(shown(f"{width}x{height}") for width, height in sorted(said)[:4])
        raise RecordingError(f"recording '{name}': expected a header that says one sensor, found {listed}")
    if not said:
        return None
    sides = said.pop()
    if not all(re.fullmatch(r"[0-9]{1,5}", side) and 0 < int(side) <= LARGEST for side in sides):
        raise RecordingError(
            f"recording '{name}': expected a sensor of 1 to {LARGEST} pixels a side in its header, found "
            f"{shown('x'.join(sides))}"
        )
    width, height = map(int, sides)
    return width, height


def _sizes(header: Header) -> Iterator[tuple[str, str]]:
    for value in header.told("geometry"):
        width, _, height = value.lower().partition("x")
        yield width.strip(), height.strip()
    for lines in (header.options, header.lines):
        widths, heights = ([value for key, value in lines if key == side] for side in ("width", "height"))
        if widths or heights:
            yield " or ".join(sorted(set(widths))), " or ".join(sorted(set(heights)))
