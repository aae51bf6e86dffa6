"""Every kind of edit of a sound trace, signed anew: the hash fits, and the content says what it should not.

The signature is written here from the documentation of the format, and not taken from the package.
"""

import contextlib
import copy
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np

Edit = Callable[[h5py.File], None]
Path = tuple[Any, ...]

FOREIGN: list[Any] = [
    None, True, False, -1, 0, 1, 2, 3, 7, 65, 4097, 10**7, 10**9, 2**63, 10**30, -(2**63), 0.5, -0.0, 1e300, math.nan,
    math.inf, "", "x", "fixed", "float32", "2^-1", "\ud800", "a" * 5000, [], [0], [0, 1, 2], ["x"], [[]], {}, {"a": 1},
]  # fmt: skip
LABELS: list[Any] = [
    -1, 0, 1, 2, 64, 65, 10**6, 2**62, 0.5, np.nan, np.inf, True, b"x", np.bytes_(b""), np.zeros(0, np.int64),
    np.zeros(2, np.int64), np.zeros(16, np.int64), np.full(16, 200), np.full(5, -200), np.zeros((2, 2), int),
    np.zeros(3000), np.uint64(2**64 - 1), np.array([b"x", b"y"]), h5py.Empty("i8"), np.complex64(1),
]  # fmt: skip
TYPES = ["i1", "u1", "i8", "u8", ">i4", ">u8", "f2", "f4", "f8", ">f8", "c8", "S3", "?", "V4"]


def signed(file: h5py.File, known: set[str]) -> None:
    """Give a file the hash of its content, where it can be had."""
    version = file.attrs.get("schema_version", 2)

    def hashed(attributes: tuple[Any, ...], *arrays: np.ndarray) -> bytes:
        whole = hashlib.sha256(repr(attributes).encode())
        for array in arrays:
            if np.array_equal(version, 1):
                whole.update(repr(array.shape).encode() + array.astype("<i8").tobytes())
            else:
                little = array.astype(array.dtype.newbyteorder("<"))
                whole.update(repr((little.dtype.str, array.shape)).encode() + little.tobytes())
        return whole.digest()

    with contextlib.suppress(Exception):  # what has no such hash keeps its own
        hashes = {"input": hashed((), file["input"][()])} if not np.array_equal(version, 1) else {}
        for name in known:
            if name not in file["records"]:
                continue
            node = file["records"][name]
            bits, height, width, channels = (int(node.attrs[key]) for key in ("bits", "height", "width", "channels"))
            attributes = bits, np.asarray(node.attrs["fraction"], np.int64).tolist(), height, width, channels
            parts = ("offsets", "channels") if name.endswith("/spikes") else ()
            hashes[name] = hashed(attributes, *([node[part][()] for part in parts] or [node[()]]))
        whole = hashlib.sha256(bytes(file["header"][()]).decode().encode())
        for name in sorted(hashes):
            whole.update(name.encode() + hashes[name])
        file.attrs["sha256"] = np.bytes_(whole.hexdigest().encode())


def edits(file: h5py.File) -> Iterator[tuple[str, Edit]]:
    """All edits of a sound trace, with their names."""
    header = json.loads(bytes(file["header"][()]).decode())
    yield from _of_header(header)
    yield from _of_attributes(file)
    yield from _of_datasets(file)
    yield from _of_records(file)


# --- the header -------------------------------------------------------------------------------------------------------


def _of_header(header: dict[str, Any]) -> Iterator[tuple[str, Edit]]:
    for text in (b"", b"{", b"null", b"[]", b"3", b"\xff", b'{"a":' * 100_000, b"[" * 100_000, b"1" * 10_000):
        yield f"header = {text[:9]!r}", _text(text)
    for path in _paths(header):
        name = "header " + ".".join(map(str, path))
        yield f"{name} deleted", _changed(header, path, "delete")
        yield f"{name} renamed", _changed(header, path, "rename")
        for value in FOREIGN:
            yield f"{name} = {value!r:.20}", _changed(header, path, "set", value)
        found = _at(header, path)
        if isinstance(found, (int, float)) and not isinstance(found, bool):
            for value in (-found, found + 1, found - 1, found * 2, float(found), str(found)):
                yield f"{name} = {value!r}", _changed(header, path, "set", value)
        if isinstance(found, list):
            for value in (found[:-1], found + found[:1], found[::-1], found * 2, dict(enumerate(found))):
                yield f"{name} = {value!r:.20}", _changed(header, path, "set", value)
        if isinstance(found, dict):
            yield f"{name} + unknown", _changed(header, (*path, "unknown"), "set", 1)
            yield f"{name} as a list", _changed(header, path, "set", list(found.values()))


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from _paths(child, (*path, key))


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value[key]
    return value


def _changed(header: dict[str, Any], path: Path, how: str, value: Any = None) -> Edit:
    def edit(file: h5py.File) -> None:
        changed = copy.deepcopy(header)
        parent = _at(changed, path[:-1])
        if how == "set":
            parent[path[-1]] = value
        elif how == "delete" or isinstance(parent, list):
            del parent[path[-1]]
        else:
            parent[f"{path[-1]}x"] = parent.pop(path[-1])
        _text(json.dumps(changed).encode())(file)

    return edit


def _text(text: bytes) -> Edit:
    return _replaced("header", np.bytes_(text) if text else h5py.Empty("S1"))


# --- attributes -------------------------------------------------------------------------------------------------------


def _of_attributes(file: h5py.File) -> Iterator[tuple[str, Edit]]:
    for name, node in _nodes(file):
        for key in node.attrs:
            yield f"{name}@{key} deleted", _labelled(name, key, None)
            for value in LABELS:
                if name != "/" or isinstance(value, (bytes, np.ndarray, float)):  # of the root: what is no number
                    yield f"{name}@{key} = {value!r:.20}", _labelled(name, key, value)


def _labelled(name: str, key: str, value: Any) -> Edit:
    def edit(file: h5py.File) -> None:
        del file[name].attrs[key]
        if value is not None:
            file[name].attrs[key] = value

    return edit


# --- datasets ---------------------------------------------------------------------------------------------------------


def _of_datasets(file: h5py.File) -> Iterator[tuple[str, Edit]]:
    for name, node in _nodes(file):
        if not isinstance(node, h5py.Dataset):
            continue
        held = node[()]
        for what, value in _forms(np.asarray(held)) if name != "header" else [("numbers", np.zeros(9))]:
            yield f"{name} {what}", _replaced(name, value)
        yield f"{name} is empty", _replaced(name, h5py.Empty(node.dtype))
        yield f"{name} is a group", _replaced(name, None)
        yield f"{name} is a type", _replaced(name, np.dtype("f4"))


def _forms(held: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield from ((f"as {dtype}", held.astype(dtype)) for dtype in TYPES if not (dtype == "V4" and held.itemsize > 4))
    yield from (("cut", held[:-1]), ("twice", np.concatenate([held, held])), ("reversed", held[::-1].copy()))
    yield from (("flat", held.ravel()), ("transposed", held.T.copy()), ("deeper", held[None]), ("none", held[:0]))
    yield "a scalar", np.asarray(held.ravel()[:1].sum())
    limits = np.iinfo(held.dtype) if held.dtype.kind in "iu" else np.finfo(held.dtype)
    for number in (0, 1, 2, limits.max, limits.min, *((math.nan, math.inf) if held.dtype.kind == "f" else ())):
        yield f"full of {number}", np.full_like(held, number)
        if held.size:
            for at in (0, held.size // 2, held.size - 1):
                changed = held.copy()
                changed.flat[at] = number
                yield f"[{at}] = {number}", changed
    if held.size > 2:
        changed = held.copy()
        changed.flat[[0, 1]] = changed.flat[[1, 0]]
        yield "two swapped", changed


def _replaced(name: str, value: Any) -> Edit:
    def edit(file: h5py.File) -> None:
        attributes = dict(file[name].attrs)
        del file[name]
        if value is None:
            file.create_group(name)
        else:
            file[name] = value
        file[name].attrs.update(attributes)

    return edit


# --- records ----------------------------------------------------------------------------------------------------------


def _of_records(file: h5py.File) -> Iterator[tuple[str, Edit]]:
    names = [name for name, _ in _nodes(file) if name.startswith("records/")]
    for name in ["input", "header", "records", *names]:
        yield f"{name} removed", _called("__delitem__", name)
        yield f"{name} moved", _called("move", name, f"{name}x")
    for name, other in zip(names, [*names[5:], *names[:5]], strict=True):
        if not (other.startswith(f"{name}/") or name.startswith(f"{other}/")):
            yield f"{name} and {other} swapped", _swapped(name, other)
    for name in names[::4]:
        yield f"{name} linked", _called("__setitem__", f"{name}y", h5py.SoftLink("/nowhere"))
        yield f"{name} copied", _called("copy", name, f"{name}z")
    for added in ("nothing", "nothing/v", "head/v", "block.0.attn.q_lif/y", "block.1.attn.q_lif/v"):
        yield f"records/{added} added", _called("__setitem__", f"records/{added}", np.zeros(3))
    yield "records are no group", _replaced("records", np.zeros(3))
    yield "no records", _replaced("records", None)


def _called(method: str, *arguments: Any) -> Edit:
    return lambda file: getattr(file, method)(*arguments)


def _swapped(name: str, other: str) -> Edit:
    def edit(file: h5py.File) -> None:
        file.move(name, "aside")
        file.move(other, name)
        file.move("aside", other)

    return edit


def _nodes(file: h5py.File) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = [("/", file)]
    file.visititems(lambda name, node: found.append((name, node)))
    return found
