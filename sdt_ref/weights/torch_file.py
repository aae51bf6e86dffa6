"""The two formats of torch.save: a zip archive (since PyTorch 1.6), and pickles in a row before that.

Source: torch/serialization.py. The pickle of the object is read here, as data; numbers when a tensor asks.
"""

import io
import os
import sys
import zipfile
from typing import Any, BinaryIO

from .made import LONGEST_NAME, Made, Name
from .pickled import read_pickle
from .stored import ITEM_SIZES, STORAGES, Held, Storage, sizes

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
MOST_PICKLE = 256 * 2**20  # bytes of the object without its numbers
MOST_DIRECTORY = 8 * 2**20  # bytes of the list of an archive's entries; each takes about a hundred
MOST_PREAMBLE = 1000  # steps of each of the older format's first pickles


class Limited:
    """A file that promises no more bytes than it has: a claimed length must not claim memory."""

    def __init__(self, file: Any, size: int) -> None:
        self.file, self.left = file, size

    def read(self, count: int) -> bytes:
        """At most what is left; a longer claim is a damaged file."""
        if not 0 <= count <= self.left:
            raise ValueError("it is cut short")
        content = self.file.read(count)
        self.left -= len(content)
        return bytes(content)

    def readline(self) -> bytes:
        """The rest of a line."""
        content = self.file.readline(min(self.left, 2**16))
        self.left -= len(content)
        return bytes(content)

    def skip(self, count: int) -> None:
        """Go on behind some bytes."""
        if count > self.left:
            raise ValueError("it is cut short")
        self.file.seek(count, os.SEEK_CUR)
        self.left -= count


class InPieces:
    """A file for `zipfile`, which reads the directory of an archive at once, however long that is said to be.

    Attributes
    ----------
    most : bytes of one read
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.most = file, MOST_DIRECTORY
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        """At most `most`."""
        return self.file.read(self.most if count < 0 else min(count, self.most))


def _storage_id(saved: Any) -> tuple[str, str, int, Any]:
    """Type, key, count and view of ('storage', class, key, location, count[, view])."""
    if not (isinstance(saved, tuple) and len(saved) in (5, 6) and saved[0] == "storage" and isinstance(saved[1], Name)):
        raise ValueError("an object outside of the pickle that is no storage")
    _, kind, key, _, count, *view = saved
    dtype = STORAGES.get(kind.name.removesuffix("Storage"), "bytes")
    if not (isinstance(key, str) and len(key) <= LONGEST_NAME):
        raise ValueError("a storage without a name")
    (count,) = sizes((count,))
    return dtype, key, count, view[0] if view else None


def read_zip(archive: zipfile.ZipFile, pickle_name: str) -> Any:
    """The object of a zip archive, whose pickle is the entry 'NAME/data.pkl'; the archive must stay open."""
    folder = pickle_name.removesuffix("data.pkl")
    entries = {info.filename: info for info in archive.infolist()}
    for info in entries.values():
        if info.CRC == 0:  # written without checksums, as PyTorch can
            del info.CRC
    big = f"{folder}byteorder" in entries and _content(archive, entries[f"{folder}byteorder"], 3) == b"big"
    held: dict[str, Held] = {}

    def storage(saved: Any) -> Storage:
        dtype, key, count, _ = _storage_id(saved)
        if key not in held:
            info = entries[f"{folder}data/{key}"]
            held[key] = Held(info.file_size, lambda: _content(archive, info, info.file_size))
        return Storage(dtype, count, held[key], ">" if big else "<")

    info = entries[pickle_name]
    if info.file_size > MOST_PICKLE:
        raise ValueError(f"a pickle of more than {MOST_PICKLE:,} bytes")
    content = _content(archive, info, info.file_size)
    return read_pickle(Limited(io.BytesIO(content), len(content)), storage)


def opened_zip(file: BinaryIO) -> zipfile.ZipFile:
    """The archive; BadZipFile where its directory is damaged, or is longer than MOST_DIRECTORY."""
    pieces = InPieces(file)
    archive = zipfile.ZipFile(pieces)
    pieces.most = sys.maxsize
    return archive


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, count: int) -> bytes:
    """The first bytes of an entry, and no more than these, whatever it unpacks to."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others unpack without a limit
        raise ValueError("a compression that PyTorch does not read")
    with archive.open(info) as file:
        return file.read(count)


def read_legacy(file: BinaryIO) -> Any:
    """The object of the older format: five pickles, then for each storage its count and its numbers.

    The file must stay open. NotPyTorchError for a pickle that PyTorch did not write.
    """
    size = os.fstat(file.fileno()).st_size
    places: dict[str, int] = {}  # storage -> first byte of its numbers
    items: dict[str, int] = {}  # storage -> bytes of a number
    held: dict[tuple[str, int, int], Held] = {}

    def storage(saved: Any) -> Storage:
        dtype, key, count, view = _storage_id(saved)
        item = items[key] = ITEM_SIZES.get(dtype, 1)
        first, count = sizes(view[1:]) if view else (0, count)  # a part of the storage
        part = key, first * item, count * item
        if part not in held:
            held[part] = Held(part[2], lambda: _part(*part))
        return Storage(dtype, count, held[part])

    def _part(key: str, first: int, count: int) -> bytes:
        start = places[key] + first
        if count < 0 or not 0 <= start <= size - count:
            return b""
        file.seek(start)
        return file.read(count)

    def outside(saved: Any) -> Any:
        if isinstance(saved, tuple) and saved[:1] == ("module",) and len(saved) == 4:
            return saved[1]  # a class with its source text
        return storage(saved)

    file.seek(0)
    limited = Limited(file, size)
    if read_pickle(limited, storage, MOST_PREAMBLE) != LEGACY_MAGIC:
        raise NotPyTorchError
    read_pickle(limited, storage, MOST_PREAMBLE)  # the version of the protocol
    read_pickle(limited, storage, MOST_PREAMBLE)  # of the machine: byte order and sizes of types
    content = read_pickle(limited, outside)
    for key in read_pickle(limited, storage):
        count = int.from_bytes(limited.read(8), "little")
        places[key] = size - limited.left
        limited.skip(count * items[key])
    return content


class NotPyTorchError(ValueError):
    """A pickle that does not begin as torch.save begins."""


def is_module(value: Any) -> bool:
    """Whether this is a network that was pickled whole, with its class."""
    return (
        isinstance(value, Made) and isinstance(value.state, dict) and value.state.keys() >= {"_modules", "_parameters"}
    )
