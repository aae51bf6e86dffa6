"""Labelled folders and packs of pictures."""

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

import sdt_ref
from sdt_ref.inputs.datasets import open_pictures
from sdt_ref.weights.presets import class_names
from tests.shipped import CIFAR10


def test_folders_are_read_in_natural_order_with_the_labels_of_the_weights(tree: Path) -> None:
    pictures = open_pictures(tree, CIFAR10)
    assert [(name, label) for name, _, label in pictures] == [
        ("cat/1.png", 3), ("cat/2.png", 3), ("cat/10.png", 3), ("dog/2.jpg", 5)]  # fmt: skip
    assert len(pictures) == 4


def test_a_locked_folder_is_refused(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not skipped in silence; the super-user may enter any folder, so the lock is played."""
    scandir = os.scandir

    def locked(path: Any) -> Any:
        if str(path).endswith("cat"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(sdt_ref.ImageError, match=r"Permission denied.; check its permissions"):
        open_pictures(tree, CIFAR10)


def test_half_known_folder_names_are_refused(tmp_path: Path) -> None:
    """'plane' is none of the classes, but 'bird' is: taking the folders by position would call a bird an airplane."""
    for name in ("plane", "car", *CIFAR10[2:]):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / name / "a.png")
    with pytest.raises(sdt_ref.ImageError, match="class folder 'car' is unknown"):
        open_pictures(tmp_path, CIFAR10)


def test_folders_may_be_synsets_or_as_many_as_classes(tmp_path: Path) -> None:
    for name in ("n02123045", "n01440764"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(tmp_path / name / "a.JPEG")
    assert [label for *_, label in open_pictures(tmp_path, class_names("imagenet") or ())] == [0, 281]
    assert [label for *_, label in open_pictures(tmp_path, ("first", "second"))] == [0, 1]
    with pytest.raises(
        sdt_ref.ImageError, match=r"class folder 'n01440764' is unknown to the weights, which know 10 classes"
    ):
        open_pictures(tmp_path, CIFAR10)


def test_pack_labels_are_matched_by_class_name(pack: Path) -> None:
    with h5py.File(pack, "r+") as file:
        file.attrs["classes"] = list(reversed(CIFAR10))
    assert [label for *_, label in open_pictures(pack, CIFAR10)] == [6, 5, 4]


def test_pack_classes_may_be_bytes(pack: Path) -> None:
    with h5py.File(pack, "r+") as file:
        file.attrs["classes"] = np.array([name.encode() for name in reversed(CIFAR10)])
    assert [label for *_, label in open_pictures(pack, CIFAR10)] == [6, 5, 4]
