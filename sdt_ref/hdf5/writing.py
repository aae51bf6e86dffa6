"""HDF5 files are written through a Python file, since HDF5 itself crashes on a full disk."""

import contextlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import h5py

Output: TypeAlias = h5py.File  # that is written


@contextmanager
def created(path: Path, **settings: Any) -> Iterator[Output]:
    """Make a file and yield it; what cannot be written is raised, at the end, as the OSError that it was.

    Parameters
    ----------
    settings : of h5py.File
    """
    with path.open("w+b", buffering=0) as raw:
        output = _Output(raw)
        with contextlib.ExitStack() as stack:
            stack.callback(output.raise_failure)  # in place of what HDF5 raises because of it
            yield stack.enter_context(h5py.File(output, "w", **settings))


class _Output(io.RawIOBase):
    """A file that keeps the first failure to write, and lets HDF5 go on: its own clearing up crashes otherwise."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw, self._at = raw, 0
        self._failure: OSError | None = None

    def raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure from None

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset if whence == io.SEEK_SET else self._raw.seek(offset, whence)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._raw.seek(self._at)
        found = self._raw.readinto(buffer) or 0
        self._at += found
        return found

    def write(self, content: Any) -> int:
        left = memoryview(content).cast("B")
        total = len(left)
        try:
            self._raw.seek(self._at)
            while len(left) and self._failure is None:
                left = left[self._raw.write(left) :]
        except OSError as reason:
            self._failure = reason
        self._at += total
        return total

    def truncate(self, size: int | None = None) -> int:
        try:
            if self._failure is None:
                self._raw.truncate(size)
        except OSError as reason:
            self._failure = reason
        return self._at if size is None else size
