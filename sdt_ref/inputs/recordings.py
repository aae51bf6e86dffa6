"""Labelled recordings to evaluate on: packs, a folder per class, and DVS128 Gesture as it is published.

The official code sorts names as strings, so a class folder '10' comes before '2', and the logits of its checkpoints are
in that order. Source: torchvision's DatasetFolder, which spikingjelly's data sets are.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..camera.opening import open_recording
from ..camera.recording import CameraEvents, EventFile
from ..camera.trials import LABELS, Trial, list_trials, only, table_beside
from ..errors import ConfigError, RecordingError, require_file
from .datasets import RECORDINGS, TABLES, Labelled, Pack, recordings_below

TRAINED = 0.9  # of each class of CIFAR10-DVS, the first in order of their names; the official code tests on the rest


def open_recordings(path: str | Path, classes: tuple[str, ...], split: str | None = None) -> Labelled:
    """Open a pack, a class-per-folder tree, or a folder of DVS128 Gesture with its tables of trials.

    Parameters
    ----------
    classes : class names of the weights, in label order
    split : 'train' or 'test', or another group of a pack or sub-folder; None takes 'test' where it is, else everything

    Raises RecordingError or ImageError when the set is missing, empty, unreadable, or of other classes.
    """
    source = Path(path)
    try:
        is_folder = source.is_dir()
    except (OSError, ValueError):
        is_folder = False
    if not is_folder:
        require_file(source, "data set", RecordingError)
        return Pack(source, classes, split, "bin")
    if any(source.glob("*" + LABELS)):
        return GestureTrials(source, classes, split)
    return RecordingFolder(source, classes, split)


class RecordingFolder:
    """A folder per class, in files that recordings are kept in; all sorted as strings.

    Folders are class names of the weights, or numbers of classes. Without sub-folders of their own, 'train' is the
    first nine tenths of each class and 'test' the rest, as the official code splits CIFAR10-DVS.
    """

    def __init__(self, path: Path, classes: tuple[str, ...], split: str | None) -> None:
        parts = {entry.name.lower(): entry for entry in path.iterdir() if entry.is_dir()}  # N-MNIST's are Train, Test
        self.path = parts.get((split or "test").lower(), path)
        if split not in (None, "train", "test") and self.path == path:
            raise ConfigError(f"folder '{path}': expected a sub-folder '{split}', found none; choose with --split")
        folders = sorted(entry for entry in self.path.iterdir() if entry.is_dir())
        if not folders:
            raise RecordingError(f"folder '{self.path}': expected one folder per class, found none")
        self._items = []
        for folder in folders:
            label = _label(folder, classes)
            found = sorted(recordings_below(folder))
            if self.path == path and split is not None:
                n_trained = math.ceil(TRAINED * len(found))
                found = found[:n_trained] if split == "train" else found[n_trained:]
            self._items += [(file, label) for file in found]
        if not self._items:
            where = f" for --split {split}, a tenth of each class" if self.path == path and split == "test" else ""
            endings = ", ".join(sorted(RECORDINGS | TABLES))
            raise RecordingError(f"folder '{self.path}': expected recordings ({endings}){where}, found none")

    def __len__(self) -> int:
        """Number of recordings."""
        return len(self._items)

    def __iter__(self) -> Iterator[tuple[str, Any, int]]:
        """Yield (name, path, label)."""
        for file, label in self._items:
            yield str(file.relative_to(self.path)), file, label


class GestureTrials:
    """The trials of DVS128 Gesture, cut out of recordings by the tables `*_labels.csv` beside them.

    `trials_to_test.txt` and `trials_to_train.txt` list the recordings of each part; without them all are taken.
    """

    def __init__(self, path: Path, classes: tuple[str, ...], split: str | None) -> None:
        part = path / f"trials_to_{split or 'test'}.txt"
        if part.is_file():
            names = [line.strip() for line in part.read_text(encoding="utf-8", errors="replace").splitlines()]
            recordings = [path / name for name in names if name]
        elif split is not None:
            raise ConfigError(f"folder '{path}': expected '{part.name}', found none; leave out --split")
        else:
            recordings = sorted(path.glob("*.aedat"))
        self._items = [
            (recording, trial, _number(trial.label, classes))
            for recording in recordings
            for trial in _known_trials(table_beside(recording), classes)
        ]
        if not self._items:
            raise RecordingError(f"folder '{path}': expected recordings (.aedat) beside the tables, found none")

    def __len__(self) -> int:
        """Number of trials."""
        return len(self._items)

    def __iter__(self) -> Iterator[tuple[str, Any, int]]:
        """Yield (name, open recording, label)."""
        for path, trial, label in self._items:
            try:
                recording = only(open_recording(path), trial)
            except RecordingError as error:
                recording = _refused(path, error)
            yield f"{path.stem}_{trial.start}", recording, label


def _refused(path: Path, error: RecordingError) -> EventFile:
    """A recording that reports, when it is read, why it cannot be."""

    def read() -> Iterator[CameraEvents]:
        raise error

    return EventFile(str(path), "", None, read)


def _known_trials(table: Path, classes: tuple[str, ...]) -> list[Trial]:
    trials = list_trials(table)
    largest = max(trial.label for trial in trials)
    if largest >= len(classes):
        raise RecordingError(
            f"trials '{table}': expected classes 1 to {len(classes)}, as the weights know, found {largest + 1}; choose "
            "other --weights"
        )
    return trials


def _label(folder: Path, classes: tuple[str, ...]) -> int:
    name = folder.name
    if name in classes:
        return classes.index(name)
    if name.isascii() and name.isdigit() and str(int(name)) == name and int(name) < len(classes):
        return _number(int(name), classes)
    raise RecordingError(
        f"folder '{folder.parent}': expected class folders named as the weights' {len(classes)} classes "
        f"({', '.join(classes[:4])}, ...) or 0 to {len(classes) - 1}, found '{name}'"
    )


def _number(of_data_set: int, classes: tuple[str, ...]) -> int:
    """Place of the data set's class, from 0, among the logits: numbers sorted as strings."""
    return sorted(map(str, range(len(classes)))).index(str(of_data_set))
