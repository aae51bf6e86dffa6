"""Lines of text, an event each: the numbers t, x, y and p, between spaces, tabs, commas or semicolons.

A line of names above says which column is which, and others are ignored, whatever they hold; without names there are
four. Numbers may stand in quotes. Lines that begin with # or % are comments: one may hold the names, as numpy.savetxt
writes them, or '%geometry:640,480', as Prophesee does, which are width and height of the sensor; so are two numbers
alone in the first line, as E2VID has them.
Source: the Event Camera Dataset (Mueggler et al., 2017), whose events.txt has t x y p; E2VID; metavision_file_to_csv.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..errors import RecordingError, shown
from .checking import CUT, LARGEST
from .columns import ORDER, Columns, open_columns
from .naming import find_columns
from .recording import EventFile
from .source import Source

BLOCK = 1 << 16  # bytes of text in memory at a time; no line is longer
BOM = b"\xef\xbb\xbf"
COMMENT = b"#", b"%"
SPACES = bytes.maketrans(b",;\t_", b"   ?")  # Python would read 1_0 as 10
QUOTED = re.compile(rb"(?<![^ ,;\t])(?:\"([^\"' ,;\t]*)\"|'([^\"' ,;\t]*)')(?![^ ,;\t\r\n])")  # a whole cell
TEXT = re.compile(rb"[\t -~\x80-\xff]*")
NUMBER = re.compile(rb"[+-]?((\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|nan|inf)", re.IGNORECASE)
GEOMETRY = re.compile(rb"% *geometry *: *(\d{1,5}) *, *(\d{1,5})")
PAIR = re.compile(rb"(\d{1,5})[ ,;\t]+(\d{1,5})")
BOOLEANS = {b"false": b"0", b"true": b"1"}  # as pandas writes them


@dataclass(frozen=True)
class Layout:
    """What the beginning of a text says of its lines.

    Attributes
    ----------
    first : lines before the first event
    width : columns
    names : of the columns; empty where the text has none
    sensor : width and height in pixels, where the text has them
    """

    first: int
    width: int
    names: tuple[str, ...]
    sensor: tuple[int, int] | None


def find_layout(head: bytes) -> Layout | None:
    """Find the layout of a text that is a table of numbers, by its beginning; None for anything else."""
    head = head[:BLOCK].removeprefix(BOM)
    names: tuple[str, ...] | None = None
    commented: tuple[str, ...] = ()
    sensor = None
    lines = head.splitlines()
    for first, line in enumerate(lines):
        words = _words(line)
        if not TEXT.fullmatch(line):
            return None
        if words and words[0][:1] in COMMENT:
            sensor = _size(GEOMETRY.fullmatch(line.strip())) or sensor
            found = _names(line.lstrip()[1:])
            commented = found if _are_columns(found) else commented
        elif words and names and _are_columns(names):
            return Layout(first, len(names), names, sensor)
        elif words and all(map(_is_number, words)):
            size = _size(PAIR.fullmatch(line.strip()))
            if size and sensor is None and names is None:
                sensor = size
                continue
            names = commented if names is None and len(commented) == len(words) else names
            table = len(words) > 1 if not names else len(names) == len(words) >= len(ORDER)
            return Layout(first, len(words), names or (), sensor) if table else None
        elif words and names is not None:
            return None
        elif words:
            names = _names(line)
    names = names or commented
    return Layout(len(lines), len(names), names, sensor) if _are_columns(names) else None


def open_text(source: Source, layout: Layout) -> EventFile:
    """Open a text of events.

    Raises RecordingError when its columns are not t, x, y and p.
    """
    try:
        named = find_columns(layout.names)
    except RecordingError as error:
        raise RecordingError(f"recording '{source.name}': {error}") from None
    if layout.names and named is None:
        found = ", ".join(map(shown, layout.names[:8]))
        raise RecordingError(f"recording '{source.name}': expected columns named t, x, y and p, found {found}")
    if not layout.names and layout.width != len(ORDER):
        raise RecordingError(
            f"recording '{source.name}': expected columns t, x, y and p, found {layout.width} columns without names"
        )
    places = tuple(map(layout.names.index, named.columns)) if named else range(len(ORDER))
    read = partial(_events, source, layout, places)
    unit = named.unit if named else None
    return open_columns(source, "text", read, sensor=layout.sensor, named=named is not None, unit=unit)


def _events(source: Source, layout: Layout, places: Sequence[int], repairs: Counter[str]) -> Iterator[Columns]:
    number = 0  # of lines before
    for lines, whole in _blocks(source):
        skipped = min(max(layout.first - number, 0), len(lines))
        lines[:skipped] = [b""] * skipped
        rows = [row for line in lines if (row := _words(line)) and row[0][:1] not in COMMENT]
        if not whole and rows and not _fits(rows[-1], max(len(rows[-1]), layout.width), places):
            rows.pop()
            repairs[CUT] += 1
        if not set(map(len, rows)) <= {layout.width}:
            raise _wrong(source, lines, number, layout.width, places)
        if rows:
            columns = list(zip(*rows, strict=True))
            try:
                numbers = [_numbers(columns[place]) for place in places]
            except ValueError:
                raise _wrong(source, lines, number, layout.width, places) from None
            yield numbers
        number += len(lines)


def _fits(row: list[bytes], width: int, places: Sequence[int]) -> bool:
    """Tell whether a line has so many columns, and numbers where they are read."""
    return len(row) == width and all(_is_number(row[place]) for place in places)


def _wrong(source: Source, lines: list[bytes], before: int, width: int, places: Sequence[int]) -> RecordingError:
    """Report the first line that does not fit."""
    rows = ((number, _words(line)) for number, line in enumerate(lines, before + 1))
    number, row = next(
        (number, row) for number, row in rows if row and row[0][:1] not in COMMENT and not _fits(row, width, places)
    )
    found = b" ".join(row).decode("ascii", "backslashreplace")
    return RecordingError(f"recording '{source.name}', line {number}: expected {width} numbers, found {shown(found)}")


def _blocks(source: Source) -> Iterator[tuple[list[bytes], bool]]:
    """Yield some lines at a time, and whether the last of them ends."""
    rest = b""
    with source.open() as stream:
        stream.seek(len(BOM) if stream.read(len(BOM)) == BOM else 0)
        while block := stream.read(BLOCK):
            block = rest + block
            end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
            rest = block[end:]
            if len(rest) > BLOCK:
                raise RecordingError(
                    f"recording '{source.name}': expected lines of at most {BLOCK} bytes, found a longer one"
                )
            yield block[:end].splitlines(), True
    if rest:
        yield [rest], False


def _numbers(words: Sequence[bytes]) -> np.ndarray:
    """One column: int64 where all are integers that it holds, else float64."""
    try:
        return np.array(list(map(int, words)), np.int64)
    except (ValueError, OverflowError):
        return np.array([float(BOOLEANS.get(word.lower(), word)) for word in words])


def _words(line: bytes) -> list[bytes]:
    if b'"' in line or b"'" in line:
        line = QUOTED.sub(rb"\1\2", line)
    return line.translate(SPACES).split()


def _names(line: bytes) -> tuple[str, ...]:
    """The words of a line of names: between spaces only where nothing else is between them."""
    line = line.rstrip(b" ,;\t")
    words = re.split(rb"[,;\t]", line) if re.search(rb"[,;\t]", line) else line.split()
    return tuple(word.strip(b" \"'\r").decode("utf-8", "replace") for word in words)


def _are_columns(names: Sequence[str]) -> bool:
    try:
        return find_columns(names) is not None
    except RecordingError:  # several could be the same
        return True


def _is_number(word: bytes) -> bool:
    return bool(NUMBER.fullmatch(word)) or word.lower() in BOOLEANS


def _size(match: re.Match[bytes] | None) -> tuple[int, int] | None:
    """Width and height, if a sensor can have them."""
    if match is None or not all(0 < int(side) <= LARGEST for side in match.groups()):
        return None
    return int(match[1]), int(match[2])
