"""A chunk that unpacks to less than an array says is refused: HDF5 would read what stands behind it in memory."""

import io
import zlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdt_ref.hdf5.chunks import _length_of_lzf
from tests.hdf5.test_reading import looked_at, refused

CHUNK = 8 * 50
GZIP, LZF = {"compression": "gzip"}, {"compression": "lzf"}


def of(change: Callable[[Any], object], **how: Any) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        change(file.create_dataset("a", data=np.arange(200) % 7, chunks=(50,), **how))
    return stream.getvalue()


@pytest.mark.parametrize("how", [{}, GZIP, LZF, {**GZIP, "shuffle": True}, {**LZF, "shuffle": True}, {"shuffle": True}])
def test_sound_chunks_are_read(how: dict[str, Any]) -> None:
    read = looked_at(of(lambda _: None, **how), lambda file: file["a"][()])
    assert np.array_equal(read, np.arange(200) % 7)
    assert len(looked_at(of(lambda array: array.resize((230,)), maxshape=(None,), **how), lambda f: f["a"][()])) == 230


BAD: dict[str, tuple[dict[str, Any], bytes, int, int]] = {  # filters, a chunk, its mask, the length found
    "shorter": (GZIP, zlib.compress(bytes(CHUNK - 1)), 0, CHUNK - 1),
    "longer": (GZIP, zlib.compress(bytes(10**7)), 0, CHUNK + 1),
    "empty": (GZIP, zlib.compress(b""), 0, 0),
    "cut": (GZIP, zlib.compress(bytes(range(256)) * 2)[:40], 0, -1),
    "no gzip": (GZIP, b"junk", 0, 0),
    "not filtered, as its mask says": (GZIP, bytes(60), 1, 60),
    "shuffled and shorter": ({**GZIP, "shuffle": True}, zlib.compress(bytes(8)), 0, 8),
    "lzf of four bytes": (LZF, b"\x03abcd", 0, 4),
    "lzf that is cut": (LZF, b"\x1fabc", 0, 0),
}


@pytest.mark.parametrize("name", BAD)
def test_a_chunk_of_another_length_is_refused(name: str) -> None:
    how, chunk, mask, length = BAD[name]
    said = refused(of(lambda array: array.id.write_direct_chunk((50,), chunk, mask), **how))
    assert said.startswith(f"file 'f': array 'a': expected chunks of {CHUNK} bytes, found one of ")
    assert length < 0 or said.endswith(f" {length}; write it again")


@given(st.binary(max_size=2000), st.integers(1, 20))
def test_the_length_of_lzf_is_what_hdf5_unpacks(content: bytes, times: int) -> None:
    whole = np.frombuffer(content * times or b"\0", np.uint8)
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        array = file.create_dataset("a", data=whole, chunks=whole.shape, compression="lzf")
        skipped, packed = array.id.read_direct_chunk((0,))
    assert skipped or _length_of_lzf(bytes(packed)) == len(whole)
