"""The standard input as a picture or a recording: read once, in memory, bounded."""

import io
import sys

from ..errors import ImageError

NAME = "standard input"
MOST = 256 << 20  # bytes
CHUNK = 1 << 20


class StandardInput(io.BytesIO):
    """All that came from the standard input, to be read as often as a file."""

    name = NAME

    def __str__(self) -> str:
        return NAME


def read_standard_input() -> StandardInput:
    """Read it to its end.

    Raises ImageError when it is closed, a terminal, empty, or more than MOST bytes.
    """
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or sys.stdin.closed or sys.stdin.isatty():
        found = "a terminal" if stream is not None and not sys.stdin.closed else "none"
        raise ImageError(
            f"'-' reads the {NAME}: expected a file or a pipe, found {found}; give a path, or pipe a file into it"
        )
    content = bytearray()
    while found := stream.read(CHUNK):
        content += found
        if len(content) > MOST:
            raise ImageError(
                f"{NAME}: expected at most {MOST:,} bytes, found more; save it as a file, and give its path"
            )
    if not content:
        raise ImageError(f"{NAME}: expected a picture or a recording, found nothing; check the command before the pipe")
    return StandardInput(content)
