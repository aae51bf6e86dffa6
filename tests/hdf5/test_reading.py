"""HDF5 of strangers: all of a file is looked at before a number is read."""

import io
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sdt_ref.errors import SdtError
from sdt_ref.hdf5 import File, apart, opened, reading

Make = Callable[[h5py.File], object]


def written(*makes: Make) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["sound"] = np.arange(3)
        file.attrs["name"] = np.bytes_(b"sound")
        for make in makes:
            make(file)
    return stream.getvalue()


def looked_at(content: bytes, look: Callable[[File], Any] = lambda file: list(file.arrays)) -> Any:
    with opened(io.BytesIO(content), "file 'f'", SdtError, "HDF5 of ours", "write it again") as file:
        return look(file)


def refused(content: bytes, look: Callable[[File], Any] = lambda file: None) -> str:
    with pytest.raises(SdtError) as caught:
        looked_at(content, look)
    return str(caught.value)


def virtual(file: h5py.File) -> None:
    """An array that is made of another one: here of itself, which HDF5 follows until it crashes."""
    layout = h5py.VirtualLayout(shape=(3,), dtype="i8")
    layout[:] = h5py.VirtualSource(".", "virtual", shape=(3,))
    file.create_virtual_dataset("virtual", layout)


def named_type(file: h5py.File) -> None:
    file["type"] = np.dtype("f4")


def of_named_type(file: h5py.File) -> None:
    file["type"] = np.dtype("f4")
    file.create_dataset("a", shape=(3,), dtype=file["type"])
    del file["type"]


def claims(n: int, **how: Any) -> Make:
    return lambda file: file.create_dataset("claims", shape=(n,), dtype="f4", **how)


HOSTILE: dict[str, tuple[Make, str]] = {
    "virtual": (virtual, "array 'virtual': expected it in this file, found it kept in another; write it again"),
    "external": (lambda f: f.create_dataset("e", (3,), "u1", external=[("/etc/passwd", 0, 3)]), "array 'e': expected it in this file, found it kept in another"),
    "soft link": (lambda f: f.__setitem__("soft", h5py.SoftLink("/sound")), "'soft': expected a group or an array, found a link to another place"),
    "dangling link": (lambda f: f.__setitem__("soft", h5py.SoftLink("/nothing")), "found a link to another place"),
    "external link": (lambda f: f.__setitem__("other", h5py.ExternalLink("other.h5", "/a")), "found a link to another place"),
    "hard link": (lambda f: f.__setitem__("again", f["sound"]), "found an object of several names"),
    "group in itself": (lambda f: f.create_group("a").__setitem__("a", f["a"]), "found an object of several names"),
    "named type": (named_type, "'type': expected a group or an array, found a named type"),
    "array of a named type": (of_named_type, "expected plain numbers, found 'float32'"),
    "compound": (lambda f: f.create_dataset("c", data=np.zeros(2, [("a", "i4")])), "expected plain numbers"),
    "texts of variable length": (lambda f: f.create_dataset("v", data=["a", "b"]), "expected plain numbers"),
    "references": (lambda f: f.create_dataset("r", data=[f.ref], dtype=h5py.ref_dtype), "expected plain numbers"),
    "lists of variable length": (lambda f: f.create_dataset("l", (2,), h5py.vlen_dtype("i4")), "expected plain numbers"),
    "a long name": (lambda f: f.create_dataset("n" * 5000, data=np.zeros(2, [("a", "i4")])), f"array '{'n' * 76}...: expected plain numbers"),
    "opaque": (lambda f: f.create_dataset("o", data=np.zeros(2, h5py.opaque_dtype(np.dtype("V4")))), "expected plain numbers"),
    "no numbers": (lambda f: f.__setitem__("n", h5py.Empty("f4")), "array 'n': expected numbers, found none"),
    "claims without storage": (claims(10**9), "array 'claims': 0 bytes are stored, which cannot hold the 4000000000 that it claims"),
    "claims in chunks": (claims(10**9, chunks=(1000,)), "which cannot hold the 4000000000 that it claims"),
    "claims without bounds": (claims(2**60, chunks=(1000,)), "which cannot hold the"),
    "many small claims": (lambda f: [f.create_dataset(f"z/{i}", (1 << 18,), "f4") for i in range(100)], "expected arrays that fit in"),
    "huge chunks": (claims(10, chunks=(900_000_000,), maxshape=(None,)), "expected chunks of at most 67108864 bytes, found 3600000000"),
    "a foreign filter": (lambda f: f.create_dataset("a", data=np.zeros(9), fletcher32=True), "expected no filters but gzip, shuffle, lzf, found filter 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_ours_never_have_is_refused_before_a_number_is_read(name: str) -> None:
    make, message = HOSTILE[name]
    assert message in refused(written(make))


def test_groups_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_OBJECTS", 100)
    groups = [lambda f, i=i: f.create_group(str(i)) for i in range(99)]
    looked_at(written(*groups))
    assert "expected at most 100 objects, found more" in refused(written(*groups, lambda f: f.create_group("99")))


def test_what_ours_have_is_read() -> None:
    packed = np.arange(10_000).reshape(100, 100) % 7
    content = written(
        lambda f: f.create_dataset("a/gzip", data=packed, compression="gzip", shuffle=True),
        lambda f: f.create_dataset("a/lzf", data=packed, compression="lzf"),
        lambda f: f.create_dataset("a/zeros", data=np.zeros(10**6), compression="gzip"),
        lambda f: f.create_dataset("a/b/text", data=np.bytes_(b"text")),
        lambda f: f.create_dataset("a/b/flags", data=[True, False]),
    )

    def look(file: File) -> None:
        assert file.groups == ["", "a", "a/b"]
        assert sorted(file.members["a"]) == ["gzip", "lzf", "zeros"]
        assert np.array_equal(file["a/gzip"][()], packed)
        assert np.array_equal(file["a/lzf"][()], packed)
        assert not file["a/zeros"][()].any()
        assert file["a/b/flags"][()].tolist() == [True, False]
        assert "a/b/text" in file
        assert "a/b" not in file

    looked_at(content, look)
    assert refused(content, lambda file: file["a/b"]) == "file 'f': array 'a/b' is missing; write it again"


ATTRIBUTES: dict[str, tuple[object, object]] = {
    "text": (np.bytes_("é".encode()), "é"),
    "texts": (np.array([b"a", b"bc"]), ["a", "bc"]),
    "whole": (7, 7),
    "real": (0.5, 0.5),
    "numbers": (np.array([1, 2]), [1, 2]),
    "variable": ("é", "é"),
    "variables": (["a", "bc"], ["a", "bc"]),
    "no": (np.array([], "S1"), []),
}


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes_are_read_as_what_they_are(tmp_path: Path, name: str, in_memory: bool) -> None:
    value, expected = ATTRIBUTES[name]
    content = written(lambda f: f.attrs.__setitem__("a", value), lambda f: f["sound"].attrs.__setitem__("b", value))
    (tmp_path / "f.h5").write_bytes(content)
    with (
        io.BytesIO(content) if in_memory else (tmp_path / "f.h5").open("rb") as stream,
        opened(stream, "f", SdtError, "HDF5", "write it again") as file,
    ):
        for found in (file.attribute("a", variable=True), file.attribute("b", "sound", variable=True)):
            assert (found.tolist() if isinstance(found, np.ndarray) else found) == expected
            assert file["sound"][()].tolist() == [0, 1, 2]  # another process that read has moved no position
        assert file.attribute("none") is None


def test_attributes_of_other_kinds_are_refused() -> None:
    content = written(
        lambda f: f.attrs.__setitem__("number", 10**9),
        lambda f: f.attrs.__setitem__("variable", "text"),
        lambda f: f.attrs.__setitem__("reference", f.ref),
        lambda f: f.attrs.__setitem__("nothing", h5py.Empty("f4")),
    )
    assert "attribute 'number': expected text of fixed length, found 1000000000" in refused(
        content, lambda file: file.text("number")
    )
    assert "attribute 'name': expected a whole number, found 'sound'" in refused(content, lambda f: f.whole("name"))
    assert "attribute 'no' is missing: expected text" in refused(content, lambda file: file.text("no"))
    assert "expected text of fixed length, found one of variable length" in refused(
        content, lambda f: f.text("variable")
    )
    assert "expected text or numbers, found another type" in refused(content, lambda f: f.attribute("reference"))
    assert "expected text or numbers, found another type" in refused(content, lambda f: f.attribute("nothing"))


def test_names_of_any_bytes_are_names() -> None:
    content = written(lambda f: f.create_dataset(b"\xff", data=[1, 2]))
    assert looked_at(content, lambda file: file["\udcff"][()].tolist()) == [1, 2]
    compound = written(lambda f: f.create_dataset(b"\xff", data=np.zeros(2, [("a", "i4")])))
    assert r"array '\udcff': expected plain numbers" in refused(compound)


def of_a_damaged_heap() -> bytes:
    """HDF5 walks a heap object by object; one of no size is walked for ever."""
    content = bytearray(written(lambda f: f.attrs.__setitem__("a", ["one", "two"])))
    at = content.index(b"GCOL") + 16
    size = 16 + (struct.unpack_from("<Q", content, at + 8)[0] + 7) // 8 * 8
    content[at + size : at + size + 16] = bytes(16)
    return bytes(content)


def test_a_damaged_heap_of_texts_does_not_run_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "SECONDS", 1)
    assert "attribute 'a': expected text, found damage" in refused(
        of_a_damaged_heap(), lambda file: file.attribute("a", variable=True)
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no limits of resources")
def test_what_is_no_hdf5_is_named() -> None:
    assert refused(b"\x89PNG\r\n\x1a\n") == "file 'f': expected HDF5 of ours, found a PNG picture; write it again"
    assert refused(b"").startswith("file 'f': expected HDF5 of ours, found a damaged one (")
    assert refused(written()[:-9]).startswith("file 'f': expected HDF5 of ours, found a damaged one (")
