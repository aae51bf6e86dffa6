"""Packs of pictures and recordings: their classes become labels of the weights."""

from pathlib import Path

import h5py
import numpy as np
import pytest

import sdt_ref
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
