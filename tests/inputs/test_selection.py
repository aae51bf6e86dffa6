"""Which samples of which data; opened anew they are the same, and any change of them is seen."""

import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from sdt_ref.inputs.selection import Item, Selection, fingerprints
from tests.recordings import GESTURES, gesture_folder
from tests.shipped import CIFAR10

NAMES = ["cat/1.png", "cat/2.png", "cat/10.png", "dog/2.jpg"]


def test_any_samples_by_number(tree: Path, pack: Path) -> None:
    """Of a folder and a pack beside each other, in one order; a limit is spread over both."""
    both = Selection((str(tree / "val"), str(pack)), frames=False).open()
    names = [*NAMES, "test/0", "test/1", "test/2"]
    assert (len(both), both.whole) == (7, 7)
    assert [item.name for item in both.items(range(7))] == names
    assert [item.name for item in both.items([1, 3, 4, 6])] == [names[n] for n in (1, 3, 4, 6)]
    assert {item.label for item in both.items(range(7))} == {-1}
    some = Selection((str(tree / "val"), str(pack)), frames=False, limit=3).open()
    assert (len(some), some.whole, list(some.numbers)) == (3, 7, [0, 2, 4])
    assert [item.name for item in some.items(range(3))] == [names[n] for n in (0, 2, 4)]
    assert [item.name for item in some.items([2])] == [names[4]]


def test_labelled_samples_by_number(tree: Path, pack: Path) -> None:
    of_tree = Selection((str(tree),), False, limit=2, classes=CIFAR10).open()
    assert [(item.name, item.label) for item in of_tree.items(range(2))] == [("cat/1.png", 3), ("cat/10.png", 3)]
    of_pack = pickle.loads(pickle.dumps(Selection((str(pack),), False, classes=CIFAR10))).open()
    assert [(item.name, item.label) for item in of_pack.items([0, 2])] == [("test/0", 3), ("test/2", 5)]


def test_paths_are_no_part_of_what_samples_are(tree: Path, tmp_path: Path) -> None:
    before = prints_of(tree)
    (tree / "val").rename(tmp_path / "elsewhere")
    assert prints_of(tmp_path / "elsewhere") == before
    assert len(set(before)) == 4


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (lambda val: (val / "cat/2.png").write_bytes(b"Broken"), [1]),
        (lambda val: (val / "dog/2.jpg").rename(val / "dog/3.jpg"), [3]),
        (lambda val: (val / "dog").rename(val / "deer"), [3]),
    ],
)
def test_names_labels_and_contents_are(change: Callable[[Path], object], changed: list[int], tree: Path) -> None:
    before = prints_of(tree)
    change(tree / "val")
    after = prints_of(tree)
    assert [n for n in range(4) if after[n] != before[n]] == changed


def test_a_pack_s_are_of_its_files(pack: Path) -> None:
    before = prints_of(pack)
    with h5py.File(pack, "r+") as file:
        file["test/label"][1] = 5
        file.attrs["remark"] = "of no account"
    after = prints_of(pack)
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]


def test_name_and_content_do_not_run_into_each_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"")
    items = [Item("ab", tmp_path / "a", 1), Item("a", tmp_path / "a", 1), Item("ab", tmp_path / "absent", 1)]
    assert len(set(fingerprints([*items, Item("\udcff", tmp_path / "b", 1)]))) == 4


def prints_of(path: Path) -> list[bytes]:
    selected = Selection((str(path),), False, classes=CIFAR10).open()
    return list(fingerprints(selected.items(np.arange(len(selected)).tolist())))


def test_trials_are_of_the_recording_that_they_are_cut_from(tmp_path: Path) -> None:
    gesture_folder(tmp_path)
    trials = Selection((str(tmp_path),), frames=True, classes=GESTURES).open()
    before = list(fingerprints(trials.items(range(2))))
    assert len(set(before)) == 2
    table = tmp_path / "user01_lab_labels.csv"
    table.write_text(table.read_text().replace(",2000", ",2100"))
    later = Selection((str(tmp_path),), frames=True, classes=GESTURES).open()
    assert [a == b for a, b in zip(before, fingerprints(later.items(range(2))), strict=True)] == [True, False]
    recording = tmp_path / "user01_lab.aedat"
    recording.write_bytes(recording.read_bytes() + bytes(8))
    assert not {*fingerprints(trials.items(range(2)))} & {*before}
