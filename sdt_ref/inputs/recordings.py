"""Labelled recordings to evaluate on: packs, a folder per class, and DVS128 Gesture as it is published.

The official code sorts names as strings, so a class folder '10' comes before '2', and the logits of its checkpoints are
in that order; the class names of DVS128 Gesture that ship are, too. Source: torchvision's DatasetFolder, which
spikingjelly's data sets are.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..camera.opening import open_recording
from ..camera.recording import CameraEvents, EventFile
from ..camera.trials import LABELS, Trial, list_trials, only, table_beside
from ..errors import ConfigError, RecordingError, shown
from ..files import as_path, read_text, require_file
from .classes import Matched, by_number, match
from .datasets import RECORDINGS, RESOURCE_FORK, TABLES, class_folders, is_folder, recordings_below
from .packs import Labelled, LabelledPack, Pack

TRAINED = 0.9  # of each class of CIFAR10-DVS, the first in order of their names; the official code tests on the rest


def open_recordings(
    path: str | Path, classes: tuple[str, ...], split: str | None = None, by_order: bool = False
) -> Labelled:
    """Open a pack, a class-per-folder tree, or a folder of DVS128 Gesture with its tables of trials.

    Parameters
    ----------
    classes : class names of the weights, in label order
    split : 'train' or 'test', or another group of a pack or sub-folder; None takes 'test' where it is, else everything
    by_order : as in `classes.match`

    Raises RecordingError or ImageError when the set is missing, empty, unreadable, or of other classes.
    """
    source = as_path(path, "data set", RecordingError)
    if not is_folder(source):
        require_file(source, "data set", RecordingError)
        return LabelledPack(Pack(source, split, "bin"), classes, by_order)
    if any(_files(source, "*" + LABELS)):
        return GestureTrials(source, classes, split)
    return RecordingFolder(source, classes, split, by_order)


class RecordingFolder(Labelled):
    """A folder per class, in files that recordings are kept in; all sorted as strings.

    Folder names become labels as `classes.match` says. Without sub-folders of their own, 'train' is the
    first nine tenths of each class and 'test' the rest, as the official code splits CIFAR10-DVS.
    """

    def __init__(self, path: Path, classes: tuple[str, ...], split: str | None, by_order: bool) -> None:
        parts = {entry.name.lower(): entry for entry in path.iterdir() if entry.is_dir()}  # N-MNIST's are Train, Test
        self.path = parts.get((split or "test").lower(), path)
        if split not in (None, "train", "test") and self.path == path:
            raise ConfigError(f"folder '{path}': expected a sub-folder {shown(split)}, found none; choose with --split")
        folders = class_folders(self.path)
        if not folders:
            raise RecordingError(f"folder '{self.path}': expected one folder per class, found none")
        names, what = [folder.name for folder in folders], f"folder '{self.path}': class folder"
        self.matched = match(names, classes, what, by_order=by_order, error=RecordingError)
        self._items = []
        for folder, label in sorted(zip(folders, self.matched.labels, strict=True)):
            found = sorted(recordings_below(folder))
            if self.path == path and split is not None:
                n_trained = math.ceil(TRAINED * len(found))
                found = found[:n_trained] if split == "train" else found[n_trained:]
            self._items += [(file, label) for file in found]
        if not self._items:
            where = f" for --split {split}, a tenth of each class" if self.path == path and split == "test" else ""
            endings = ", ".join(sorted(RECORDINGS | TABLES))
            raise RecordingError(f"folder '{self.path}': expected recordings ({endings}){where}, found none")

    @property
    def files(self) -> list[Path]:
        """All of them."""
        return [file for file, *_ in self._items]

    def __len__(self) -> int:
        """Number of recordings."""
        return len(self._items)

    def items(self, numbers: Iterable[int]) -> Iterator[tuple[str, Any, int]]:
        """Yield (name, path, label)."""
        for number in numbers:
            file, label = self._items[number]
            yield str(file.relative_to(self.path)), file, label


class GestureTrials(Labelled):
    """The trials of DVS128 Gesture, cut out of recordings by the tables `*_labels.csv` beside them.

    `trials_to_test.txt` and `trials_to_train.txt` list the recordings of each part; without them all are taken.
    """

    def __init__(self, path: Path, classes: tuple[str, ...], split: str | None) -> None:
        part = path / f"trials_to_{split or 'test'}.txt"
        if part.exists():
            names = [line.strip() for line in read_text(part, "list of trials", RecordingError).splitlines()]
            recordings = [path / name for name in names if name]
        elif split is not None:
            raise ConfigError(f"folder '{path}': expected {shown(part.name)}, found none; leave out --split")
        else:
            recordings = _files(path, "*.aedat")
        trials = [(file, trial) for file in recordings for trial in _known_trials(table_beside(file), classes)]
        if not trials:
            raise RecordingError(f"folder '{path}': expected recordings (.aedat) beside the tables, found none")
        self.matched = _match_gestures(sorted({trial.label for _, trial in trials}), classes)
        label = dict(zip(self.matched.names, self.matched.labels, strict=True))
        self._items = [(file, trial, label[str(trial.label)]) for file, trial in trials]

    @property
    def files(self) -> list[Path]:
        """Their recordings."""
        return [file for file, *_ in self._items]

    def __len__(self) -> int:
        """Number of trials."""
        return len(self._items)

    def items(self, numbers: Iterable[int]) -> Iterator[tuple[str, Any, int]]:
        """Yield (name, open recording, label)."""
        for number in numbers:
            path, trial, label = self._items[number]
            try:
                recording = only(open_recording(path), trial)
            except RecordingError as error:
                recording = _refused(path, error)
            yield f"{path.stem}_{trial.start}", dataclasses.replace(recording, path=path), label


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


def _match_gestures(numbers: list[int], classes: tuple[str, ...]) -> Matched:
    """Gestures are known by number; where the weights have other names for them, their logits are in official order."""
    names = tuple(map(str, numbers))
    places = sorted(map(str, range(len(classes))))
    return by_number(names, classes) or Matched("official order", names, tuple(map(places.index, names)))


def _files(path: Path, pattern: str) -> list[Path]:
    return sorted(file for file in path.glob(pattern) if not file.name.startswith(RESOURCE_FORK))
