"""The lines of text that AEDAT files of the versions 2.0 and 3.1 begin with.

Source: iniVation, AEDAT file formats: every line begins with '#' and ends with CRLF; the first one names the version.
"""

import re

from ..errors import RecordingError
from .source import Source

LIMIT = 1 << 20  # bytes of text
VERSION = re.compile(rb"#!AER-DAT(\d+\.\d+)\s")
END = b"#!END-HEADER"


def read_header(source: Source) -> tuple[list[str], int]:
    """Read the lines that begin with '#', up to a line '#!END-HEADER' if there is one.

    Returns the lines, without their ends, and the number of bytes. Raises RecordingError when the text has no end
    within 1 MiB.
    """
    lines: list[str] = []
    size = 0
    with source.open() as stream:
        while (line := stream.readline(LIMIT + 1 - size)).startswith(b"#"):
            size += len(line)
            if size > LIMIT:
                raise RecordingError(
                    f"recording '{source.name}': expected a text header of at most {LIMIT} bytes, found no end of it"
                )
            lines.append(line.decode("ascii", "replace").strip())
            if line.strip() == END:
                break
    return lines, size
