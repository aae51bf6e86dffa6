"""Labelled folders and packs of pictures."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import sdt_ref
from sdt_ref.inputs.datasets import Samples, open_pictures
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


def pictures(root: Path, *names: str) -> Path:
    """A grey picture in each of some folders."""
    for name in names:
        (root / name).mkdir(parents=True)
        Image.fromarray(np.full((2, 2, 3), 99, np.uint8)).save(root / name / "a.png")
    return root


def test_folders_of_other_names_are_refused_or_taken_in_natural_order(tmp_path: Path) -> None:
    root, classes = pictures(tmp_path, "Sorte 10", "sorte 2", "Sorte 1"), ("a", "b", "c")
    with pytest.raises(sdt_ref.ImageError, match=r"'Sorte 1' is unknown to the weights, .*; found 3: Sorte 1, sorte 2"):
        open_pictures(root, classes)
    labelled = open_pictures(root, classes, by_order=True)
    assert [(Path(name).parent.name, label) for name, _, label in labelled] == [
        ("Sorte 1", 0), ("sorte 2", 1), ("Sorte 10", 2)]  # fmt: skip
    assert (labelled.matched.by, labelled.matched.names) == ("order", ("Sorte 1", "sorte 2", "Sorte 10"))


def test_numbered_folders_are_labels(tmp_path: Path) -> None:
    labelled = open_pictures(pictures(tmp_path, "10", "2", "1"), tuple("abcdefghijk"))
    assert [(Path(name).parent.name, label) for name, _, label in labelled] == [("1", 1), ("2", 2), ("10", 10)]
    assert labelled.matched.by == "number"


def test_clutter_is_no_class_and_no_picture(tree: Path) -> None:
    """At each level: beside the parts, beside the classes, beside the pictures."""
    kinds = (".ipynb_checkpoints", ".hidden", "__MACOSX", "@eaDir", "$RECYCLE.BIN")
    for level in (tree, tree / "val", tree / "val" / "cat"):
        pictures(level, *kinds)
    (tree / "val" / "cat" / "._1.png").write_bytes(b"resource fork")
    (tree / "val" / "cat" / "Thumbs.db").write_bytes(b"thumbnails")
    names = ["cat/1.png", "cat/2.png", "cat/10.png", "dog/2.jpg"]
    labelled = open_pictures(tree, CIFAR10)
    assert [name for name, *_ in labelled] == names
    assert labelled.matched.names == ("cat", "dog")
    assert [name for name, _ in Samples([str(tree)])] == names


def test_a_hidden_folder_that_is_asked_for_is_read(tree: Path) -> None:
    hidden = tree / ".data"
    (tree / "val").rename(hidden)
    assert len(open_pictures(hidden, CIFAR10)) == len(open_pictures(tree, CIFAR10, ".data")) == 4
