"""What HDF5 does with damage is done by a copy of this process: crashes, endless loops, endless memory."""

import io
import os
import signal
import tempfile
import time
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from sdt_ref.hdf5 import Refused
from sdt_ref.hdf5 import apart as module
from sdt_ref.hdf5.apart import apart
from tests.hdf5.test_reading import looked_at, refused

pytestmark = pytest.mark.skipif(not module.CAN_FORK, reason="this system does not copy processes")
NOT_BORNE = "expected HDF5 that can be read, found damage that HDF5 does not bear"


def test_what_work_returns_and_raises() -> None:
    assert apart(lambda: ["é", {"a": 1}], io.BytesIO()) == ["é", {"a": 1}]
    assert apart(lambda: "x" * 10**6, io.BytesIO()) == "x" * 10**6
    with pytest.raises(Refused, match=r"^words$"):
        apart(lambda: refuse(Refused("words")), io.BytesIO())
    with pytest.raises(ValueError, match=r"^'name'$"):
        apart(lambda: refuse(KeyError("name")), io.BytesIO())


def refuse(error: Exception) -> None:
    raise error


def without_end() -> None:
    while True:
        pass


@pytest.mark.parametrize(
    "work", [os.abort, without_end, lambda: os.kill(os.getpid(), signal.SIGSEGV), lambda: os._exit(0)]
)
def test_a_copy_that_crashes_or_does_not_end(work: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 1)
    with pytest.raises(Refused, match=NOT_BORNE):
        apart(work, io.BytesIO())


def test_a_copy_that_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    with pytest.raises(Refused, match=NOT_BORNE):
        apart(lambda: time.sleep(1000), io.BytesIO())


def test_memory_is_limited() -> None:
    with pytest.raises(ValueError, match=r"MemoryError|Unable to allocate"):
        apart(lambda: len(np.ones(1 << 29)), io.BytesIO())


def test_the_position_of_the_file_stays() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789" * 10_000)
        file.seek(5)
        assert file.read(1) == b"5"
        assert apart(lambda: (file.seek(77_777), len(file.read()))[1], file) == 22_223
        assert file.read(10_000) == (b"0123456789" * 1001)[6:10_006]


def test_no_process_is_left() -> None:
    apart(lambda: None, io.BytesIO())
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def of_old_groups() -> bytes:
    """A file whose groups are trees, as HDF5 1.6 and h5py by default write them."""
    stream = io.BytesIO()
    with h5py.File(stream, "w", libver="earliest") as file:
        for i in range(40):
            file[f"group/{i}"] = np.arange(3)
    return stream.getvalue()


def test_a_tree_of_groups_that_is_its_own_neighbour_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 1)
    content = of_old_groups()
    assert len(looked_at(content)) == 40
    at = content.rindex(b"TREE")
    changed = bytearray(content)
    changed[at + 16 : at + 24] = at.to_bytes(8, "little")  # the right sibling
    assert refused(bytes(changed)).startswith(f"file 'f': {NOT_BORNE}")


def test_groups_in_groups_are_limited() -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        group: Any = file
        for _ in range(100):
            group = group.create_group("g")
    assert "expected at most 64 groups in one another, found more" in refused(stream.getvalue())
