"""Where the bytes of a recording are: a file, an open file, or memory; read from the beginning as often as wanted."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import RecordingError
from ..files import open_plain


class Source:
    """Bytes with a name, and how many there are.

    Parameters
    ----------
    source : path, bytes, or binary file that can seek; an open file stays open, and must not be written to
    name : for messages; None takes the path, or the name of the open file

    Raises RecordingError when it is none of these, cannot be read, or is a folder, a pipe or a device.
    """

    def __init__(self, source: Any, name: str | None = None) -> None:
        self.path: Path | None = None
        self._file: Any = None
        if isinstance(source, (str, os.PathLike)):
            self.path = Path(source)
            self.name = name or str(self.path)
            with open_plain(self.path, "recording", RecordingError) as opened:
                self.size = os.fstat(opened.fileno()).st_size
                return
        if isinstance(source, (bytes, bytearray, memoryview)):
            self._file, self.name = io.BytesIO(source), name or "bytes"
        elif hasattr(source, "read") and hasattr(source, "seek"):
            opened_as = getattr(source, "name", None)
            self._file, self.name = source, name or (opened_as if isinstance(opened_as, str) else "recording")
        else:
            raise RecordingError(
                f"recording: expected a path, bytes or a binary file that can seek, found {type(source).__name__}"
            )
        if hasattr(source, "fileno"):
            self._require_regular(source)
        try:
            self.size = self._file.seek(0, os.SEEK_END)
        except (OSError, ValueError) as error:  # a stream without positions, a file that was closed
            raise RecordingError(f"recording '{self.name}' cannot be read: {error}") from None

    def _require_regular(self, opened: Any) -> None:
        """Refuse what may never end."""
        try:
            mode = os.fstat(opened.fileno()).st_mode
        except (OSError, ValueError):  # a file in memory has no descriptor
            return
        if not stat.S_ISREG(mode):
            raise RecordingError(
                f"recording '{self.name}': expected a file, found a pipe or a device; save it as a file first"
            )

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Yield the bytes as a binary file that stands at the beginning; several may be open at a time.

        An OSError of whatever is done with it becomes a RecordingError.
        """
        try:
            with (
                open_plain(self.path, "recording", RecordingError)
                if self.path
                else io.BufferedReader(_Window(self._file, self.size)) as opened
            ):
                yield opened
        except OSError as error:
            raise RecordingError(f"recording '{self.name}' cannot be read: {error.strerror or error}") from None

    def head(self, n: int) -> bytes:
        """The first n bytes, or all of fewer."""
        with self.open() as stream:
            return stream.read(n)


class _Window(io.RawIOBase):
    """A position of its own in a file that others read too; closing it leaves the file open."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            self._file.seek(self._position)
            found = self._file.read(len(buffer))
        except ValueError as error:  # the file was closed meanwhile
            raise OSError(str(error)) from None
        if not isinstance(found, bytes):
            raise OSError("expected bytes, found text")
        buffer[: len(found)] = found
        self._position += len(found)
        return len(found)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if position < 0:
            raise ValueError(f"negative seek value {position}")
        self._position = position
        return position
