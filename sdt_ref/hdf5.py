"""HDF5 files: the one place that opens them, to read and to write; nothing else imports h5py.

A file may come from anybody, and HDF5 follows what it says: to other files, to filters, through damage. So all of a
file is looked at before a number of it is read. What is read is in this file, of a plain type, and not far larger than
the bytes that are stored. Texts of variable length stand in a heap in which damage makes HDF5 run without end: they are
read by a process of its own, which may end.

What HDF5 writes goes through a Python file, since HDF5 itself crashes on a full disk.
Source: The HDF Group, HDF5 file format specification, version 3.0.
"""

import contextlib
import importlib.util
import io
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import h5py
import numpy as np

from .errors import SdtError, shown
from .kinds import HDF5, kind_of

MOST_OBJECTS = 50_000  # groups, arrays and links of a file
LARGEST_CHUNK = 64 << 20  # bytes of an array's chunk, which is in memory as a whole
GROWTH, HARMLESS = 1100, 1 << 20  # gzip packs 1032 times at most; below a MiB a claim does no harm
LARGEST = 4 << 30  # bytes that an array unpacks to
LARGEST_ATTRIBUTE = 16 << 20  # bytes
OWN_FILTERS = {1: "gzip", 2: "shuffle", 32000: "lzf"}
OTHER_FILTERS = {*OWN_FILTERS, 3}  # and Fletcher's sum; szip, which HDF5 brings too, ends the process when damaged
PLUGINS = {307: "bzip2", 32001: "Blosc", 32004: "LZ4", 32008: "Bitshuffle", 32015: "Zstandard", 32026: "Blosc2"}
ECF = 0x8ECF  # Prophesee's number of its own
EXTRA = "in the folder of sdt_ref: pip install '.[events]'"
PATIENCE, MEMORY = 10, 2 << 30  # seconds and bytes of the process that reads texts

Array: TypeAlias = h5py.Dataset
Group: TypeAlias = h5py.Group
Output: TypeAlias = h5py.File  # that is written
PLAIN = {h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM}  # classes of types; h5py's bool is an ENUM


class Refused(ValueError):
    """What of a file is not as it must be; `opened` adds which file."""


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
            links.append((name.decode("utf-8", "replace") if isinstance(name, bytes) else name, link.type))
            return len(links) > MOST_OBJECTS or None

        if file.id.links.visit(collect, info=True):
            raise Refused(f"expected at most {MOST_OBJECTS:,} objects, found more")
        for path, kind in links:
            self._add(path, kind)

    def _add(self, path: str, kind: int) -> None:
        if kind != h5py.h5l.TYPE_HARD:
            self.others[path] = "a link to another place"
            return
        found = h5py.h5o.open(self.root.id, path.encode())
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
            raise Refused(f"array '{path}' is missing")
        return self.arrays[path]

    def require_own(self) -> None:
        """Refuse what a file of ours never has."""
        for path, what in self.others.items():
            raise Refused(f"'{path}': expected a group or an array, found {what}")
        for path, array in self.arrays.items():
            if not _is_plain(array.id.get_type()):
                raise Refused(f"array '{path}': expected plain numbers, found {shown(str(array.dtype))}")
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
            raise Refused(f"array '{path}': expected it in this file, found it kept in another")
        if array.shape is None:
            raise Refused(f"array '{path}': expected numbers, found none")
        for k in range(settings.get_nfilters()):
            number = settings.get_filter(k)[0]
            if not own:
                _require_filter(number, path)
            elif number not in OWN_FILTERS:
                names = ", ".join(OWN_FILTERS.values())
                raise Refused(f"array '{path}': expected no filters but {names}, found filter {number}")
        if chunk_bytes(array) > LARGEST_CHUNK:
            raise Refused(
                f"array '{path}': expected chunks of at most {LARGEST_CHUNK} bytes, found {chunk_bytes(array)}; "
                "save it again with smaller ones"
            )
        stored, claimed = min(array.id.get_storage_size(), self._size), nbytes(array)
        if claimed > stored and claimed > min(max(GROWTH * stored, HARMLESS), LARGEST):
            raise Refused(f"array '{path}': {stored} bytes are stored, which cannot hold the {claimed} that it claims")

    def attribute(self, name: str, path: str = "", *, variable: bool = False) -> Any:
        """A text or number, or an array or list of them, and None where there is no such attribute; Refused for others.

        Parameters
        ----------
        path : of the group or array
        variable : whether texts may be of variable length
        """
        node = h5py.h5o.open(self.root.id, path.encode() or b"/")
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
            return self._read_apart(name, path)
        value = np.empty(shape, attribute.dtype)
        attribute.read(value)
        found = np.char.decode(value, "utf-8") if value.dtype.kind == "S" else value
        return found.item() if not shape else found.tolist() if found.dtype.kind == "U" else found

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

    def _read_apart(self, name: str, path: str) -> Any:
        """Read texts of variable length in a process with a limit of time and memory."""
        command = [sys.executable, "-P", "-c", READER, json.dumps([sys.path, path or "/", name, MEMORY])]
        with self._as_standard_input() as given:
            try:
                done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=True, **given)
                return json.loads(done.stdout)
            except (OSError, ValueError, subprocess.SubprocessError):
                raise Refused(f"attribute '{name}': expected text, found damage") from None

    @contextmanager
    def _as_standard_input(self) -> Iterator[dict[str, Any]]:
        try:
            number = self._stream.fileno()
        except OSError:  # bytes in memory
            self._stream.seek(0)
            yield {"input": self._stream.read()}
            return
        at = os.lseek(number, 0, os.SEEK_CUR)
        try:
            yield {"stdin": number}
        finally:
            os.lseek(number, at, os.SEEK_SET)  # the other process has moved it, which our buffer does not know


READER = """
import io, json, sys
sys.path[:], path, name, memory = json.loads(sys.argv[1])
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
except (ImportError, ValueError, OSError):
    pass
import h5py, numpy
stream = open(0, "rb")
with h5py.File(stream if stream.seekable() else io.BytesIO(stream.read()), "r") as file:
    value = numpy.asarray(file[path].attrs[name], object)
    texts = [v.decode() if isinstance(v, bytes) else str(v) for v in value.ravel()]
    json.dump(texts if value.shape else texts[0], sys.stdout)
"""


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
def looked_at(stream: BinaryIO, *, own: bool = True, cache: int = HARMLESS) -> Iterator[File]:
    """Open a file, look at all of it, and yield it; raises Refused, and whatever h5py raises.

    Parameters
    ----------
    stream : a plain file or bytes, which stay open
    own : whether it is of a format of ours, so that all must be plain; otherwise each array is to be required
    cache : bytes that hold chunks of an array
    """
    size = stream.seek(0, io.SEEK_END)
    with h5py.File(stream, "r", rdcc_nbytes=max(cache, HARMLESS)) as opened:
        file = File(opened, stream, size)
        if own:
            file.require_own()
        yield file


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
    words = str(reason).partition("\n")[0] or type(reason).__name__
    return f"a damaged one ({words})" if kind is None or kind.name == HDF5 else kind.name


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


def _require_filter(number: int, name: str) -> None:
    """Refuse a filter of a recording that is missing, or that may not keep numbers as they are."""
    if number not in {*OTHER_FILTERS, *PLUGINS, ECF}:
        raise Refused(f"expected array {name} compressed without loss, found filter {number}; save it with gzip")
    if number in PLUGINS and importlib.util.find_spec("hdf5plugin") is not None:
        importlib.import_module("hdf5plugin")  # brings its filters
    if h5py.h5z.filter_avail(number):
        return
    if number in PLUGINS:
        raise Refused(f"array {name} is compressed with {PLUGINS[number]}, which needs the package hdf5plugin; {EXTRA}")
    if number == ECF:
        raise Refused(
            f"array {name} is compressed with Prophesee's ECF, which needs their HDF5 plugin hdf5_ecf; install that, "
            "or take the RAW file"
        )
    raise Refused(f"array {name} is compressed with filter {number}, which this h5py lacks; save it with gzip")
