"""Labelled sets of recordings: class folders, trials and their splits."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

import sdt_ref
from sdt_ref import RecordingError
from sdt_ref.camera.frames import integrate
from sdt_ref.inputs.datasets import Samples
from sdt_ref.inputs.reading import read
from sdt_ref.inputs.recordings import open_recordings
from sdt_ref.weights.config import Preprocessing
from tests import camera_bytes, prophesee_bytes
from tests.recordings import DIGITS, GESTURES, gesture_folder, npz, some_events


def test_numbered_folders_are_in_the_official_order_of_strings(tmp_path: Path) -> None:
    """DVS128 Gesture: folder 10, other gestures, is the logit at place 2."""
    for k in range(11):
        npz(tmp_path / "test" / str(k) / "a.npz", some_events(side=128))
    labelled = {name: GESTURES[label] for name, _, label in open_recordings(tmp_path, GESTURES)}
    assert list(labelled) == [os.path.join(str(k), "a.npz") for k in (0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9)]
    assert labelled[os.path.join("10", "a.npz")] == "other_gestures"
    assert labelled[os.path.join("2", "a.npz")] == "left_hand_wave"
    assert labelled[os.path.join("9", "a.npz")] == "air_guitar"


def test_numbers_of_other_classes_are_labels(tmp_path: Path) -> None:
    """The order of strings is that of DVS128 Gesture's own names alone; a class that is named by the number is it."""
    for name in ("2", "10"):
        npz(tmp_path / name / "a.npz", some_events())
    for classes, labels in (
        (tuple(f"class {k}" for k in range(11)), {"2": 2, "10": 10}),
        (tuple(sorted(map(str, range(11)))), {"2": 3, "10": 2}),
        (GESTURES, {"2": 3, "10": 2}),
    ):
        labelled = open_recordings(tmp_path, classes)
        assert {Path(name).parent.name: label for name, _, label in labelled} == labels
        assert dict(zip(labelled.matched.names, labelled.matched.labels, strict=True)) == labels


def test_folders_of_other_names_are_taken_by_order_where_that_is_asked_for(tmp_path: Path) -> None:
    for name in ("Art 2", "Art 10"):
        npz(tmp_path / name / "a.npz", some_events())
    with pytest.raises(RecordingError, match=r"class folder 'Art 2' is unknown to the weights, .* --classes-by-order"):
        open_recordings(tmp_path, ("a", "b"))
    labelled = open_recordings(tmp_path, ("a", "b"), by_order=True)
    assert [(Path(name).parent.name, label) for name, _, label in labelled] == [("Art 10", 1), ("Art 2", 0)]
    assert labelled.matched.by == "order"


def test_clutter_is_no_class_and_no_recording(tmp_path: Path) -> None:
    for name in ("7", ".7", "@eaDir", "__MACOSX", "7/.ipynb_checkpoints", "7/@eaDir"):
        npz(tmp_path / "Test" / name / "a.npz", some_events())
    (tmp_path / "Test" / "7" / "._a.npz").write_bytes(b"resource fork")
    (tmp_path / "__MACOSX").mkdir()
    assert [(name, label) for name, _, label in open_recordings(tmp_path, DIGITS)] == [(os.path.join("7", "a.npz"), 7)]


def test_without_sub_folders_a_tenth_of_each_class_is_for_testing(tmp_path: Path) -> None:
    """As the official code splits CIFAR10-DVS: the first nine tenths of the names, sorted as strings, rounded up."""
    for k in range(11):
        npz(tmp_path / "cat" / f"cifar10_cat_{k}.npz", some_events())
        npz(tmp_path / "dog" / f"cifar10_dog_{k}.npz", some_events())
    names = lambda split: [Path(name).name for name, *_ in open_recordings(tmp_path, ("cat", "dog"), split)]  # noqa: E731
    assert names("test") == ["cifar10_cat_9.npz", "cifar10_dog_9.npz"]
    assert len(names("train")) == 20
    assert names("train")[:3] == ["cifar10_cat_0.npz", "cifar10_cat_1.npz", "cifar10_cat_10.npz"]
    assert len(names(None)) == 22


def test_the_test_ids_of_cifar10_dvs() -> None:
    """909, 91 to 99, 910 to 999 of each class's 1,000, as the strings sort."""
    names = sorted(f"cifar10_cat_{k}.npz" for k in range(1000))[900:]
    ids = sorted(int(re.findall(r"\d+", name)[1]) for name in names)
    assert ids == [*range(91, 100), 909, *range(910, 1000)]


def test_n_mnist_s_folders_begin_with_capitals(tmp_path: Path) -> None:
    for part in ("Train", "Test"):
        (tmp_path / part / "7").mkdir(parents=True)
        (tmp_path / part / "7" / f"{part}.bin").write_bytes(camera_bytes.nmnist(some_events()))
    for split, name in ((None, "Test"), ("test", "Test"), ("train", "Train")):
        assert [(Path(n).stem, label) for n, _, label in open_recordings(tmp_path, DIGITS, split)] == [(name, 7)]


def test_folders_of_prophesee_s_files_and_hdf5(tmp_path: Path) -> None:
    """The same events in each; a single .h5 of events is a recording, not a pack."""
    events = some_events()
    (tmp_path / "7").mkdir()
    for name, make in {
        "a.raw": prophesee_bytes.evt2,
        "b.raw": prophesee_bytes.evt3,
        "c.dat": prophesee_bytes.dat,
    }.items():
        (tmp_path / "7" / name).write_bytes(make(events))
    with h5py.File(tmp_path / "7" / "d.h5", "w") as file:
        for name, column in camera_bytes.columns(events).items():
            file[f"events/{name}"] = column
    reading = Preprocessing(34, frames=True)
    expected = read(camera_bytes.nmnist(events), reading, 4)
    found = list(open_recordings(tmp_path, DIGITS))
    assert [(Path(name).name, label) for name, _, label in found] == [
        (name, 7) for name in ("a.raw", "b.raw", "c.dat", "d.h5")
    ]
    for _, source, _ in found:
        assert (read(source, reading, 4) == expected).all()
    alone = str(tmp_path / "7" / "d.h5")
    assert list(Samples([alone], frames=True)) == [(alone, Path(alone))]


@pytest.mark.parametrize("split", [None, "test"])
def test_trials_are_cut_by_the_table_beside_the_recording(tmp_path: Path, split: str | None) -> None:
    gesture_folder(tmp_path)
    if split is not None:
        (tmp_path / "trials_to_test.txt").write_text("user01_lab.aedat\n")
    trials = list(open_recordings(tmp_path, GESTURES, split))
    assert [(name, GESTURES[label]) for name, _, label in trials] == [
        ("user01_lab_0", "other_gestures"),
        ("user01_lab_900", "left_hand_wave"),
    ]
    assert [integrate(recording, 1, "number", (128, 128)).sum() for _, recording, _ in trials] == [10, 11]


@pytest.mark.parametrize(
    ("classes", "by", "labels"),
    [
        (GESTURES, "number of DVS128 Gesture", (3, 2)),
        (tuple(reversed(GESTURES)), "number of DVS128 Gesture", (7, 8)),
        (tuple(map(str, range(11))), "number", (2, 10)),
        (tuple(f"class {k}" for k in range(11)), "official order", (3, 2)),
    ],
)
def test_gestures_are_known_by_number(
    tmp_path: Path, classes: tuple[str, ...], by: str, labels: tuple[int, int]
) -> None:
    gesture_folder(tmp_path)
    for name in ("user01_lab.aedat", "user01_lab_labels.csv"):
        (tmp_path / f"._{name}").write_bytes(b"resource fork")
    labelled = open_recordings(tmp_path, classes)
    assert (labelled.matched.by, labelled.matched.names, labelled.matched.labels) == (by, ("2", "10"), labels)
    assert [label for *_, label in labelled] == [labels[1], labels[0]]


def test_the_published_list_of_test_recordings_is_taken_unasked(tmp_path: Path) -> None:
    gesture_folder(tmp_path)
    (tmp_path / "user01_lab.aedat").rename(tmp_path / "user02_lab.aedat")
    (tmp_path / "user01_lab_labels.csv").rename(tmp_path / "user02_lab_labels.csv")
    gesture_folder(tmp_path)
    for part, name in (("test", "user02_lab"), ("train", "user01_lab")):
        (tmp_path / f"trials_to_{part}.txt").write_text(f"{name}.aedat\n\n")
    named = lambda split: [name for name, *_ in open_recordings(tmp_path, GESTURES, split)]  # noqa: E731
    assert named(None) == named("test") == ["user02_lab_0", "user02_lab_900"]
    assert named("train") == ["user01_lab_0", "user01_lab_900"]


def test_trials_of_classes_that_the_weights_do_not_know(tmp_path: Path) -> None:
    gesture_folder(tmp_path)
    with pytest.raises(RecordingError, match=r"user01_lab_labels.csv': expected classes 1 to 10, .* found 11; choose"):
        open_recordings(tmp_path, DIGITS)


def test_frames_are_no_trials(tmp_path: Path) -> None:
    """A table cuts by time: what has none is refused when it is read, and not taken as a whole."""
    recording = gesture_folder(tmp_path) / "user01_lab.aedat"
    recording.write_bytes(camera_bytes.npz(frames=np.ones((4, 2, 128, 128))))
    for _, trial, _ in open_recordings(tmp_path, GESTURES):
        with pytest.raises(RecordingError, match="expected events, found frames that were counted of some"):
            read(trial, Preprocessing(128, frames=True, sensor=128), 4)


def test_tables_are_recordings_where_a_folder_has_no_others(tmp_path: Path) -> None:
    """Text and .npy beside other recordings may list or describe them."""
    npz(tmp_path / "7" / "a.npz", some_events())
    (tmp_path / "8").mkdir()
    (tmp_path / "8" / "a.csv").write_bytes(camera_bytes.text(some_events()))
    (tmp_path / "8" / "b.npy").write_bytes(camera_bytes.npy(np.array(some_events())))
    for name in ("labels.csv", "notes.txt", "order.npy"):
        (tmp_path / "7" / name).write_text("no recording")
    names = [Path(name).name for name, *_ in open_recordings(tmp_path, DIGITS)]
    assert names == ["a.npz", "a.csv", "b.npy"]
    folders = [Samples([str(tmp_path / name)], frames=True) for name in ("7", "8")]
    assert [[Path(name).name for name, _ in samples] for samples in folders] == [["a.npz"], ["a.csv", "b.npy"]]


def test_a_tenth_of_few_is_none(tmp_path: Path) -> None:
    npz(tmp_path / "7" / "a.npz", some_events())
    with pytest.raises(RecordingError, match="for --split test, a tenth of each class, found none"):
        open_recordings(tmp_path, DIGITS, "test")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "expected one folder per class, found none"),
        (
            ("7",),
            "expected recordings (.aedat, .aedat4, .bin, .csv, .dat, .h5, .hdf5, .npy, .npz, .raw, .txt), found none",
        ),
        (
            ("seven",),
            "class folder 'seven' is unknown to the weights, which know 10 classes: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9; "
            "found 1: seven; expected names of those classes, or numbers 0 to 9, or 10 in label order with",
        ),
        (("10",), "class folder '10' is unknown to the weights"),
    ],
)
def test_folders_that_are_no_data_set(tmp_path: Path, names: Sequence[str], message: str) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(sdt_ref.SdtError, match=re.escape(message)):
        open_recordings(tmp_path, DIGITS)
