"""Packs of pictures and recordings: their classes become labels of the weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import sdt_ref
from sdt_ref.inputs import packs
from sdt_ref.inputs.datasets import Samples, open_pictures
from tests.shipped import CIFAR10


def test_pack_labels_are_matched_by_class_name(pack: Path) -> None:
    with h5py.File(pack, "r+") as file:
        file.attrs["classes"] = list(reversed(CIFAR10))
    assert [label for *_, label in open_pictures(pack, CIFAR10)] == [6, 5, 4]


def test_pack_classes_may_be_bytes(pack: Path) -> None:
    with h5py.File(pack, "r+") as file:
        file.attrs["classes"] = np.array([name.encode() for name in reversed(CIFAR10)])
    assert [label for *_, label in open_pictures(pack, CIFAR10)] == [6, 5, 4]


def test_a_pack_of_other_names_is_refused_or_taken_in_its_own_order(pack: Path) -> None:
    """The order of its labels, which is not that of the alphabet."""
    with h5py.File(pack, "r+") as file:
        file.attrs["classes"] = [f"Klasse {name}" for name in reversed(CIFAR10)]
    with pytest.raises(
        sdt_ref.ImageError, match=r"class 'Klasse truck' is unknown to the weights, .*--classes-by-order"
    ):
        open_pictures(pack, CIFAR10)
    labelled = open_pictures(pack, CIFAR10, by_order=True)
    assert ([label for *_, label in labelled], labelled.matched.by) == ([3, 4, 5], "order")


def test_a_pack_s_names_may_be_numbers(pack: Path) -> None:
    with h5py.File(pack, "r+") as file:
        file.attrs["classes"] = list("9876543210")
    labelled = open_pictures(pack, CIFAR10)
    assert ([label for *_, label in labelled], labelled.matched.by) == ([6, 5, 4], "number")


def test_a_pack_without_names_has_labels_or_numbers_of_classes(pack: Path) -> None:
    with h5py.File(pack, "r+") as file:
        del file.attrs["classes"]
    labelled = open_pictures(pack, CIFAR10)
    assert ([label for *_, label in labelled], labelled.matched.by) == ([3, 4, 5], "number")
    assert (labelled.matched.names, labelled.matched.labels) == (("3", "4", "5"), (3, 4, 5))
    labelled = open_pictures(pack, tuple("9876543210"))
    assert ([label for *_, label in labelled], labelled.matched.labels) == ([6, 5, 4], (6, 5, 4))
    with pytest.raises(sdt_ref.ImageError, match="expected labels 0 to 3, found 3 to 5"):
        open_pictures(pack, ("a", "b", "c", "d"))
    with h5py.File(pack, "r+") as file:
        file["test/label"][...] = np.array([3, 4, 10])
    with pytest.raises(sdt_ref.ImageError, match="expected labels 0 to 9, found 3 to 10"):
        open_pictures(pack, CIFAR10)


def test_samples_of_a_pack_need_no_labels_that_the_weights_know(pack: Path) -> None:
    with h5py.File(pack, "r+") as file:
        file.attrs["classes"] = ["Katze", "dog"]
    assert [name for name, _ in Samples([str(pack)])] == ["test/0", "test/1", "test/2"]


def write_pack(path: Path, files: list[bytes], **how: Any) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("test/jpeg", data=np.frombuffer(b"".join(files), np.uint8), **how)
        file["test/offset"] = np.cumsum([0, *map(len, files)])
        file["test/label"] = np.arange(len(files)) % 10


@pytest.mark.parametrize("how", [{}, {"chunks": (1000,)}, {"chunks": (700,), "compression": "gzip"}])
@pytest.mark.parametrize("span", [1, 50, 3000, 1 << 20])
@pytest.mark.parametrize("numbers", [range(60), range(0, 60, 7), [59], [0, 1, 2, 40, 41], []])
def test_files_are_read_some_at_a_time_and_come_one_by_one(
    span: int, how: dict[str, Any], numbers: Sequence[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of 0 to 199 bytes, and one that is longer than a span."""
    rng = np.random.default_rng(5)
    files = [rng.bytes(n) for n in [*rng.integers(0, 200, 59), 4000]]
    write_pack(tmp_path / "pack.h5", files, **how)
    monkeypatch.setattr(packs, "SPAN", span)
    found = list(packs.Pack(tmp_path / "pack.h5", None).items(numbers))
    assert found == [(f"test/{n}", found[k][1], n % 10) for k, n in enumerate(numbers)]
    assert [source.read() for _, source, _ in found] == [files[n] for n in numbers]


def test_a_read_takes_no_more_than_a_span_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [bytes([n]) * 100 for n in range(10)] + [bytes(1000)]
    write_pack(tmp_path / "pack.h5", files)
    monkeypatch.setattr(packs, "SPAN", 350)
    pack, lengths = packs.Pack(tmp_path / "pack.h5", None), []
    read = pack._bytes

    def spy(first: int, end: int) -> bytes:
        lengths.append(end - first)
        return read(first, end)

    monkeypatch.setattr(pack, "_bytes", spy)
    assert len(list(pack)) == 11
    assert lengths == [300, 300, 300, 100, 1000]


def test_a_pack_is_looked_at_once_however_often_it_is_read(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking takes a copy of the process, and unpacks every chunk of the file."""
    looked, looks = packs.looked_at, []
    monkeypatch.setattr(packs, "looked_at", lambda *given: looks.append(given) or looked(*given))
    labelled = open_pictures(pack, CIFAR10)
    for n in range(3):
        assert [label for *_, label in labelled.items([n])] == [3 + n]
    assert len(looks) == 1
