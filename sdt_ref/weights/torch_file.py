"""The two formats of torch.save: a zip archive (since PyTorch 1.6), and pickles in a row before that.

Source: torch/serialization.py. The pickle of the object is read here, as data; numbers when a tensor asks.
"""

import os
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

from .made import Made, Name
from .pickled import read_pickle
from .stored import ITEM_SIZES, STORAGES, Storage

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
MOST_PICKLE = 256 * 2**20  # bytes of the object without its numbers


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


def _storage_id(saved: Any) -> tuple[str, str, int, Any]:
    """Type, key, count and view of ('storage', class, key, location, count[, view])."""
    if not (isinstance(saved, tuple) and len(saved) in (5, 6) and saved[0] == "storage" and isinstance(saved[1], Name)):
        raise ValueError("an object outside of the pickle that is no storage")
    _, kind, key, _, count, *view = saved
    dtype = STORAGES.get(kind.name.removesuffix("Storage"), "bytes")
    if not (isinstance(key, str) and isinstance(count, int)):
        raise ValueError("a storage without a name or a size")
    return dtype, key, count, view[0] if view else None


def read_zip(archive: zipfile.ZipFile, pickle_name: str) -> Any:
    """The object of a zip archive, whose pickle is the entry 'NAME/data.pkl'; the archive must stay open."""
    folder = pickle_name.removesuffix("data.pkl")
    entries = {info.filename: info for info in archive.infolist()}
    for info in entries.values():
        if info.CRC == 0:  # written without checksums, as PyTorch can
            del info.CRC
    big = False
    if f"{folder}byteorder" in entries:
        with archive.open(f"{folder}byteorder") as file:
            big = file.read(3) == b"big"

    def storage(saved: Any) -> Storage:
        dtype, key, count, _ = _storage_id(saved)
        return Storage(dtype, count, _entry_reader(archive, entries[f"{folder}data/{key}"]), ">" if big else "<")

    info = entries[pickle_name]
    if info.file_size > MOST_PICKLE:
        raise ValueError(f"a pickle of more than {MOST_PICKLE:,} bytes")
    with archive.open(info) as content:
        return read_pickle(Limited(content, info.file_size), storage)


def _entry_reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[int, int], bytes]:
    def read(first: int, count: int) -> bytes:
        if first + count > info.file_size:
            return b""
        with archive.open(info) as file:
            if file.seekable():
                file.seek(first)
            else:  # as zipfile has it without a checksum
                file.read(first)
            return file.read(count)

    return read


def read_legacy(file: BinaryIO) -> Any:
    """The object of the older format: five pickles, then for each storage its count and its numbers.

    The file must stay open. NotPyTorchError for a pickle that PyTorch did not write.
    """
    size = os.fstat(file.fileno()).st_size
    places: dict[str, int] = {}  # storage -> first byte of its numbers
    storages: dict[str, int] = {}  # storage -> bytes of a number

    def storage(saved: Any) -> Storage:
        dtype, key, count, view = _storage_id(saved)
        _, first, count = view or (key, 0, count)  # a part of the storage `key`
        item = storages[key] = ITEM_SIZES.get(dtype, 1)

        def read(start: int, length: int) -> bytes:
            start += places[key] + first * item
            file.seek(start)
            return file.read(length) if 0 <= start <= size - length else b""

        return Storage(dtype, count, read)

    def outside(saved: Any) -> Any:
        if isinstance(saved, tuple) and saved[:1] == ("module",) and len(saved) == 4:
            return saved[1]  # a class with its source text
        return storage(saved)

    file.seek(0)
    limited = Limited(file, size)
    if read_pickle(limited, storage) != LEGACY_MAGIC:
        raise NotPyTorchError
    read_pickle(limited, storage)  # the version of the protocol
    read_pickle(limited, storage)  # of the machine: byte order and sizes of types
    content = read_pickle(limited, outside)
    for key in read_pickle(limited, storage):
        count = int.from_bytes(limited.read(8), "little")
        places[key] = size - limited.left
        limited.skip(count * storages[key])
    return content


class NotPyTorchError(ValueError):
    """A pickle that does not begin as torch.save begins."""


def is_module(value: Any) -> bool:
    """Whether this is a network that was pickled whole, with its class."""
    return isinstance(value, Made) and isinstance(value.state, dict) and {"_modules", "_parameters"} <= set(value.state)
