"""`evaluate`: what it prints, where, and with which exit code."""

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import sdt_ref
from sdt_ref import evaluate
from sdt_ref.inputs.datasets import Samples, spread
from sdt_ref.inputs.selection import Selection
from sdt_ref.measuring import accuracy
from tests.shipped import CIFAR10

Capture = pytest.CaptureFixture[str]


def test_evaluate_a_folder_skips_and_lists_what_it_cannot_read(tree: Path, capsys: Capture) -> None:
    assert evaluate.main([str(tree)]) == 1
    screen = capsys.readouterr().out
    assert "of 3" in screen
    assert "unreadable cat/2.png: picture" in screen
    assert "notes.txt" not in screen


def test_links_to_nowhere_are_listed_and_odd_digits_are_no_numbers(tree: Path, capsys: Capture) -> None:
    (tree / "val" / "dog" / "gone.png").symlink_to("nowhere.png")
    (tree / "val" / "dog" / "img1\u00b23.png").write_bytes((tree / "val" / "cat" / "1.png").read_bytes())
    assert evaluate.main([str(tree), "--json"]) == 1
    summary = json.loads(capsys.readouterr().out)
    assert summary["images"] == 4
    assert [u["name"] for u in summary["unreadable"]] == ["cat/2.png", "dog/gone.png"]


def test_a_damaged_picture_inside_a_pack_is_one_line(pack: Path, capsys: Capture) -> None:
    with h5py.File(pack, "r+") as file:
        jpeg = file["test/jpeg"][()]
        del file["test/jpeg"]
        node = file.create_dataset("test/jpeg", data=jpeg, chunks=(len(jpeg),), compression="gzip")
        node.id.write_direct_chunk((0,), b"junk")
    assert evaluate.main([str(pack)]) == 2
    assert (
        "array 'test/jpeg': expected chunks of 1292 bytes, found one of 0; write the pack again"
        in capsys.readouterr().err
    )


def test_evaluate_a_pack(pack: Path, tmp_path: Path, capsys: Capture) -> None:
    np.save(tmp_path / "labels.npy", np.arange(3))
    assert evaluate.main([str(pack), "--json", "--against", str(tmp_path / "labels.npy")]) == 1
    summary = json.loads(capsys.readouterr().out)
    assert (summary["images"], [u["name"] for u in summary["unreadable"]]) == (2, ["test/1"])
    assert 0 <= summary["agreeing"] <= 2
    assert evaluate.main([str(pack), "--limit", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 1


GERMAN = ("Auto", "Flugzeug", "Frosch", "Hirsch", "Hund", "Katze", "Lastwagen", "Pferd", "Schiff", "Vogel")


def test_what_classes_were_taken_for_is_told(tree: Path, capsys: Capture) -> None:
    assert evaluate.main([str(tree)]) == 1
    assert "\nclasses   by name: 2 of 10\n" in capsys.readouterr().out
    (tree / "val" / "cat").rename(tree / "val" / "Cat")
    assert evaluate.main([str(tree), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["classes_matched"] == {
        "by": "name",
        "names": {"Cat": {"label": 3, "class": "cat"}, "dog": {"label": 5, "class": "dog"}},
    }
    assert evaluate.main([str(tree)]) == 1
    assert "\nclasses   by name: 2 of 10; Cat = cat\n" in capsys.readouterr().out


def test_classes_of_other_names_are_refused_or_taken_by_order(tree: Path, capsys: Capture) -> None:
    for german, name in zip(GERMAN, CIFAR10, strict=True):
        (tree / "val" / name).mkdir(exist_ok=True)
        (tree / "val" / name).rename(tree / "val" / german)
    assert evaluate.main([str(tree)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "which know 10 classes: airplane, automobile, bird, cat, deer, " in captured.err
    assert "found 10: Auto, Flugzeug, Frosch, Hirsch, " in captured.err
    assert evaluate.main([str(tree), "--classes-by-order"]) == 1
    shown = "classes   by order: 10 of 10; Auto = airplane, Flugzeug = automobile, ..."
    assert shown in capsys.readouterr().out.splitlines()
    assert evaluate.main([str(tree), "--classes-by-order", "--json"]) == 1
    matched = json.loads(capsys.readouterr().out)["classes_matched"]
    assert (matched["by"], matched["names"]["Katze"]) == ("order", {"label": 5, "class": "dog"})


def test_a_limit_takes_as_many_evenly_spread() -> None:
    assert list(spread(10, None)) == list(range(10))
    assert list(spread(10, 3)) == [0, 3, 6]
    assert list(spread(10, 5)) == [0, 2, 4, 6, 8]
    assert list(spread(10, 6)) == [0, 1, 3, 5, 6, 8]  # not the first six
    assert list(spread(3, 10**20)) == [0, 1, 2]
    assert list(spread(0, 4)) == []


def test_evaluate_and_energy_take_the_same_ones(tree: Path, capsys: Capture) -> None:
    """Of cat/1, cat/2 (broken), cat/10 and dog/2 the first and the third."""
    selected = Selection((str(tree),), False, limit=2, classes=CIFAR10).open()
    assert list(selected.numbers) == [0, 2]
    assert [item.name for item in selected.items(range(2))] == ["cat/1.png", "cat/10.png"]
    assert [name for name, _ in Samples([str(tree)], limit=2)] == ["cat/1.png", "cat/10.png"]
    assert evaluate.main([str(tree), "--limit", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 2


def test_the_labels_of_another_program_are_of_the_whole_set(tree: Path, tmp_path: Path, capsys: Capture) -> None:
    """Each picture is compared with the label at its own place, also where only some are classified."""
    selected = Selection((str(tree),), False, classes=CIFAR10).open()
    own = accuracy.Classify().prepare(sdt_ref.weights.load(), None)(selected.items(range(4))).arrays["predicted"]
    assert own[1] == accuracy.UNREAD
    np.save(tmp_path / "labels.npy", own)
    assert evaluate.main([str(tree), "--limit", "2", "--json", "--against", str(tmp_path / "labels.npy")]) == 0
    assert json.loads(capsys.readouterr().out)["agreeing"] == 2
    np.save(tmp_path / "labels.npy", [own[0], 99, own[2]])
    assert evaluate.main([str(tree), "--limit", "2", "--json", "--against", str(tmp_path / "labels.npy")]) == 2
    assert "expected at least 4 integers" in capsys.readouterr().err


def spoil(name: str, value: Any) -> Any:
    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            if name == "classes":
                file.attrs[name] = value
            else:
                del file[name]
                if value is not None:
                    file[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (lambda p: p.unlink(), [], "does not exist"),
        (lambda p: p.write_bytes(b""), [], "expected HDF5 with jpeg, offset and label"),
        (lambda p: os.truncate(p, 500), [], "expected HDF5 with jpeg, offset and label"),
        (spoil("test", None), ["--split", "test"], "expected split 'test', found train"),
        (spoil("test/label", None), [], "expected HDF5 with jpeg, offset and label"),
        (spoil("test/label", np.array([3, 4, 99])), [], "expected labels 0 to 9, found 3 to 99"),
        (spoil("test/label", np.array([3, 4])), [], "offset does not fit 2 labels"),
        (spoil("test/offset", np.array([0, 5, 3, 9])), [], "offset does not fit"),
        (spoil("test/offset", np.array([0, 5, 9, 10**9])), [], "offset does not fit"),
        (spoil("classes", ["cat", "spoon"]), [], "class 'spoon' is unknown to the weights"),
        (spoil("classes", [*CIFAR10[:9], "spoon"]), [], "class 'spoon' is unknown to the weights"),
        (None, ["--limit", "0"], "--limit: expected 1 or more, found 0"),
        (None, ["--split", "val"], "expected split 'val', found test, train; choose with --split"),
        (None, ["--split", "train"], "expected HDF5 with jpeg"),
        (None, ["--size", "30"], "divisible by 4"),
        (None, ["--against", "absent.npy"], "labels 'absent.npy' does not exist"),
    ],
)
def test_a_bad_pack_is_refused(pack: Path, change: Any, arguments: list[str], message: str, capsys: Capture) -> None:
    if change:
        change(pack)
    assert evaluate.main([str(pack), *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_empty_folders_are_refused(tmp_path: Path, capsys: Capture) -> None:
    assert evaluate.main([str(tmp_path)]) == 2
    assert "expected one folder per class, found none" in capsys.readouterr().err
    (tmp_path / "cat").mkdir()
    assert evaluate.main([str(tmp_path)]) == 2
    assert "expected pictures (.bmp" in capsys.readouterr().err
    assert evaluate.main([str(tmp_path), "--split", "val"]) == 2
    assert "expected a sub-folder 'val'" in capsys.readouterr().err
