"""Dumps that are texts: read no further than the golden trace can need."""

import os
from collections.abc import Iterator
from typing import BinaryIO, TextIO

from ...errors import TraceError

LONGEST_LINE = 1 << 20  # characters


def require_whole_lines(file: BinaryIO) -> None:
    """Raise TraceError where a text is empty, or ends within a line; leaves the file at its beginning."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 1))
    if file.read(1) not in (b"\n", b"\r"):
        raise TraceError("ends in the middle of a line; write it again" if size else "is empty; write it again")
    file.seek(0)


def lines_of(text: TextIO) -> Iterator[str]:
    """The lines of a text, one at a time; raises TraceError for one that is too long."""
    number = 0
    while line := text.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE:
            raise TraceError(f"line {number}: expected at most {LONGEST_LINE:,} characters, found more")
        yield line


def read_all(text: TextIO, longest: int) -> str:
    """A text of at most so many characters; raises TraceError where it is longer."""
    content = text.read(longest + 1)
    if len(content) > longest:
        raise TraceError(f"expected at most {longest:,} characters, as the golden trace needs no more, found more")
    return content
