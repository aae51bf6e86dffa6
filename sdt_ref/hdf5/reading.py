"""HDF5 files of strangers: all of a file is looked at before a number of it is read.

HDF5 follows what a file says: to other files, to filters, through damage. What is read here is in the file, of a plain
type, and not far larger than the bytes that are stored.
Source: The HDF Group, HDF5 file format specification, version 3.0.
"""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeAlias

import h5py
import numpy as np

from ..errors import SdtError, reason_of, shown
from ..kinds import HDF5, kind_of
from . import filters
from .apart import apart
from .chunks import require_whole_chunks
from .refused import Refused

MOST_OBJECTS = 50_000  # groups, arrays and links of a file
DEEPEST = 64  # groups in one another; to open one at a depth takes so many steps
LARGEST_CHUNK = 64 << 20  # bytes of an array's chunk, which is in memory as a whole
GROWTH, HARMLESS = 1100, 1 << 20  # gzip packs 1032 times at most; below a MiB a claim does no harm
LARGEST = 4 << 30  # bytes that an array unpacks to
LARGEST_ATTRIBUTE = 16 << 20  # bytes
CACHE = 1 << 20  # bytes of an array's chunks that stay unpacked, at least: as HDF5 has it

Array: TypeAlias = h5py.Dataset
Group: TypeAlias = h5py.Group
PLAIN = {h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM}  # classes of types; h5py's bool is an ENUM


class File:
    """A file that was looked at, open to read.

    Attributes
    ----------
    arrays : by path, such as 'records/head/sum', in the order of the file
    groups : paths of the groups; '' is the root
    members : by path of a group, the arrays in it by name
    others : by path, what else stands there
    root : as h5py has it, which follows what was not looked at
    """

    def __init__(self, file: h5py.File, stream: BinaryIO, size: int) -> None:
        self.root, self._stream, self._size = file, stream, size
        self.arrays: dict[str, Array] = {}
        self.groups = [""]
        self.members: dict[str, dict[str, Array]] = {"": {}}
        self.others: dict[str, str] = {}
        links: list[tuple[str, int]] = []

        def collect(name: bytes | str, link: Any) -> bool | None:
            links.append((name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name, link.type))
            return len(links) > MOST_OBJECTS or None

        if file.id.links.visit(collect, info=True):
            raise Refused(f"expected at most {MOST_OBJECTS:,} objects, found more")
        if links and max(path.count("/") for path, _ in links) > DEEPEST:
            raise Refused(f"expected at most {DEEPEST} groups in one another, found more")
        for path, kind in links:
            self._add(path, kind)

    def _add(self, path: str, kind: int) -> None:
        if kind != h5py.h5l.TYPE_HARD:
            self.others[path] = "a link to another place"
            return
        found = h5py.h5o.open(self.root.id, path.encode("utf-8", "surrogateescape"))
        if isinstance(found, h5py.h5g.GroupID):
            self.groups.append(path)
            self.members[path] = {}
        elif isinstance(found, h5py.h5d.DatasetID):
            self.arrays[path] = array = Array(found)
            group, _, name = path.rpartition("/")
            self.members[group][name] = array
        else:
            self.others[path] = "a named type"
        if h5py.h5o.get_info(found).rc > 1:
            self.others[path] = "an object of several names"

    def __contains__(self, path: str) -> bool:
        return path in self.arrays

    def __getitem__(self, path: str) -> Array:
        """The array of a path; Refused where there is none."""
        if path not in self.arrays:
            raise Refused(f"array {shown(path)} is missing")
        return self.arrays[path]

    def require_own(self) -> None:
        """Refuse what a file of ours never has."""
        for path, what in self.others.items():
            raise Refused(f"{shown(path)}: expected a group or an array, found {what}")
        for path, array in self.arrays.items():
            if not _is_plain(array.id.get_type()):
                raise Refused(f"array {shown(path)}: expected plain numbers, found {shown(str(array.dtype))}")
            self.require_here(path, own=True)
        total = sum(map(nbytes, self.arrays.values()))
        if total > max(GROWTH * self._size, HARMLESS):
            raise Refused(f"expected arrays that fit in {self._size} bytes, found {total} bytes claimed")

    def require_here(self, path: str, own: bool) -> None:
        """Refuse an array that is not in this file, or claims more than is stored, or is behind a foreign filter.

        Parameters
        ----------
        own : whether it is of a format of ours, which has few filters
        """
        array = self[path]
        settings = array.id.get_create_plist()
        if settings.get_layout() == h5py.h5d.VIRTUAL or settings.get_external_count():
            raise Refused(f"array {shown(path)}: expected it in this file, found it kept in another")
        if array.shape is None:
            raise Refused(f"array {shown(path)}: expected numbers, found none")
        for k in range(settings.get_nfilters()):
            number = settings.get_filter(k)[0]
            filters.require_own(number, path) if own else filters.require_available(number, path)
        if chunk_bytes(array) > LARGEST_CHUNK:
            raise Refused(
                f"array {shown(path)}: expected chunks of at most {LARGEST_CHUNK} bytes, found {chunk_bytes(array)}; "
                "save it again with smaller ones"
            )
        stored, claimed = min(array.id.get_storage_size(), self._size), nbytes(array)
        if claimed > stored and claimed > min(max(GROWTH * stored, HARMLESS), LARGEST):
            raise Refused(
                f"array {shown(path)}: {stored} bytes are stored, which cannot hold the {claimed} that it claims"
            )

    def require_whole(self, path: str) -> None:
        """Refuse an array that does not unpack to what it says."""
        require_whole_chunks(self[path], path, self._size)

    def attribute(self, name: str, path: str = "", *, variable: bool = False) -> Any:
        """A text or number, or an array or list of them, and None where there is no such attribute; Refused for others.

        Parameters
        ----------
        path : of the group or array
        variable : whether texts may be of variable length
        """
        node = h5py.h5o.open(self.root.id, path.encode("utf-8", "surrogateescape") or b"/")
        if not h5py.h5a.exists(node, name.encode()):
            return None
        attribute = h5py.h5a.open(node, name.encode())
        kind, shape = attribute.get_type(), attribute.shape
        variable_text = kind.get_class() == h5py.h5t.STRING and kind.is_variable_str()
        if shape is None or not (variable_text or _is_plain(kind)):
            raise Refused(f"attribute '{name}': expected text or numbers, found another type")
        if math.prod(shape) * kind.get_size() > LARGEST_ATTRIBUTE:
            raise Refused(f"attribute '{name}': expected at most {LARGEST_ATTRIBUTE} bytes, found more")
        if variable_text:
            if not variable:
                raise Refused(f"attribute '{name}': expected text of fixed length, found one of variable length")
            return self._texts(name, path)
        value = np.empty(shape, attribute.dtype)
        attribute.read(value)
        found = np.char.decode(value, "utf-8") if value.dtype.kind == "S" else value
        return found.item() if not shape else found.tolist() if found.dtype.kind == "U" else found

    def _texts(self, name: str, path: str) -> Any:
        """A text of variable length, or a list of them: they stand in a heap that damage makes endless."""

        def read() -> Any:
            value = np.asarray(self.root[path or "/"].attrs[name], object)
            texts = [text.decode() if isinstance(text, bytes) else str(text) for text in value.ravel()]
            return texts if value.shape else texts[0]

        try:
            return apart(read, self._stream)
        except (Refused, ValueError):
            raise Refused(f"attribute '{name}': expected text, found damage") from None

    def text(self, name: str) -> str:
        """An attribute of the root that is a text; Refused where it is none."""
        value = self._needed(name, "text")
        if not isinstance(value, str):
            raise Refused(f"attribute '{name}': expected text of fixed length, found {shown(value)}")
        return value

    def whole(self, name: str) -> int:
        """An attribute of the root that is a whole number; Refused where it is none."""
        value = self._needed(name, "a whole number")
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused(f"attribute '{name}': expected a whole number, found {shown(value)}")
        return value

    def _needed(self, name: str, expected: str) -> Any:
        value = self.attribute(name)
        if value is None:
            raise Refused(f"attribute '{name}' is missing: expected {expected}")
        return value


def is_array(node: object) -> bool:
    """Whether this is an array of a file."""
    return isinstance(node, h5py.Dataset)


def is_group(node: object) -> bool:
    """Whether this is a group of a file."""
    return isinstance(node, h5py.Group)


def _is_plain(kind: Any) -> bool:
    """Whether a type is of numbers or of texts of fixed length, and stands where it is used."""
    if kind.committed() or kind.get_class() not in PLAIN:
        return False
    return kind.get_class() != h5py.h5t.STRING or not kind.is_variable_str()


def nbytes(array: Array) -> int:
    """Bytes that an array claims to hold."""
    return math.prod(array.shape or (0,)) * int(array.id.get_type().get_size())


def chunk_bytes(array: Array) -> int:
    """Bytes of a chunk of an array; 0 where it has none."""
    return math.prod(array.chunks) * array.dtype.itemsize if array.chunks else 0


@contextmanager
def opened(
    stream: BinaryIO, name: str, error: type[SdtError], expected: str, remedy: str, **how: Any
) -> Iterator[File]:
    """Open a file, look at all of it, and yield it; whatever is wrong with it, then or later, is raised as `error`.

    Parameters
    ----------
    name, error, expected, remedy : as of `damage_named`
    how : as of `looked_at`
    """
    with damage_named(stream, name, error, expected, remedy), looked_at(stream, **how) as file:
        yield file


@contextmanager
def looked_at(stream: BinaryIO, *, own: bool = True, strange: bool = True, cache: int = CACHE) -> Iterator[File]:
    """Open a file, look at all of it, and yield it; raises Refused, and whatever h5py raises.

    Parameters
    ----------
    stream : a plain file or bytes, which stay open
    own : whether it is of a format of ours, so that all must be plain; otherwise each array is to be required
    strange : whether a copy of this process is to try it first; what ships needs no trial
    cache : bytes that hold chunks of an array
    """
    if strange:
        apart(lambda: _look(stream, own), stream)
    size = stream.seek(0, io.SEEK_END)
    with h5py.File(stream, "r", rdcc_nbytes=max(cache, CACHE)) as opened:
        file = File(opened, stream, size)
        if own:
            file.require_own()
            for path in file.arrays:
                file.require_whole(path)
        yield file


def _look(stream: BinaryIO, own: bool) -> None:
    """Go through all of a file, to see whether HDF5 bears it."""
    size = stream.seek(0, io.SEEK_END)
    with h5py.File(stream, "r") as opened:
        file = File(opened, stream, size)
        if own:
            file.require_own()
        for array in file.arrays.values():
            if array.chunks:
                array.id.chunk_iter(lambda _: None)


@contextmanager
def damage_named(stream: BinaryIO, name: str, error: type[SdtError], expected: str, remedy: str) -> Iterator[None]:
    """Turn whatever is raised in here into an `error` of one line.

    Parameters
    ----------
    name : what messages call the file, such as "trace 'run.h5'"; '' where somebody else adds it
    expected, remedy : what it is to be, and what to do otherwise
    """
    named = f"{name}: " if name else ""
    try:
        yield
    except SdtError as reason:
        raise error(f"{named}{reason}") from None
    except Refused as reason:
        raise error(f"{named}{reason}" if ";" in str(reason) else f"{named}{reason}; {remedy}") from None
    except MemoryError:
        raise
    except Exception as reason:  # h5py raises OSError, RuntimeError, KeyError, TypeError, ValueError, ...
        raise error(f"{named}expected {expected}, found {_otherwise(stream, reason)}; {remedy}") from None


def _otherwise(stream: BinaryIO, reason: Exception) -> str:
    """What a file is that h5py does not read."""
    stream.seek(0)
    kind = kind_of(stream.read(4096))
    return f"a damaged one ({reason_of(reason)})" if kind is None or kind.name == HDF5 else kind.name
