"""Labelled pictures to evaluate on: a folder per class, or one packed HDF5 file. Read one by one."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from ..camera.opening import is_recording, open_recorded
from ..errors import ImageError, RecordingError, shown
from ..files import as_path, require_file
from .classes import match
from .packs import Labelled, LabelledPack, Pack
from .standard_input import StandardInput

# torchvision's list of picture endings, which the official code inherits
ENDINGS = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"}
RECORDINGS = {".aedat", ".aedat4", ".npz", ".bin", ".raw", ".dat", ".h5", ".hdf5"}
TABLES = {".npy", ".txt", ".csv"}  # recordings, too; beside those above, only if they open as such: others are lists
# what operating systems, network storage and notebooks leave in folders, beside hidden ones
CLUTTER = {"__MACOSX", "__pycache__", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
UNFINISHED = ".parts"  # ends the name of the folder in which a command keeps what it has finished
RESOURCE_FORK = "._"  # macOS writes such a file beside each one on foreign disks
SPLIT_FOLDERS = ("validation", "val", "valid", "eval", "evaluation", "test")  # the first that exists is taken
NO_LABEL = -1  # of a sample of which nobody said what it shows


def open_pictures(
    path: str | Path, classes: tuple[str, ...], split: str | None = None, by_order: bool = False
) -> Labelled:
    """Open a class-per-folder tree, or an HDF5 pack.

    Parameters
    ----------
    classes : class names of the weights, in label order
    split : sub-folder or group to read; None takes the usual one
    by_order : as in `classes.match`

    Raises ImageError when the set is missing, empty, unreadable, or has classes that the weights do not know.
    """
    source = as_path(path, "data set", ImageError)
    if is_folder(source):
        return ImageFolder(source, classes, split, by_order)
    require_file(source, "data set", ImageError)
    return LabelledPack(Pack(source, split), classes, by_order)


def spread(n: int, limit: int | None) -> Sequence[int]:
    """Numbers of those that are taken of a set of n: `limit` of them, evenly spread; all where it is None."""
    if limit is None or limit >= n:
        return range(n)
    return [i * n // limit for i in range(limit)]


class Samples:
    """Pictures or recordings, whatever they show: files that are named, all below a folder, those of a pack.

    Parameters
    ----------
    data : paths, or the standard input
    split : as in `open_pictures`
    limit : at most so many, evenly spread; None takes all
    frames : recordings, not pictures

    Raises ImageError when there are none, or a path is none of these.
    """

    def __init__(
        self,
        data: Sequence[str | StandardInput],
        split: str | None = None,
        limit: int | None = None,
        frames: bool = False,
    ) -> None:
        self._sets = [_sample_set(source, split, frames) for source in data]
        self._starts = np.cumsum([0, *map(len, self._sets)])
        self._wanted = spread(int(self._starts[-1]), limit)

    def __len__(self) -> int:
        """Number of them."""
        return len(self._wanted)

    @property
    def files(self) -> list[Path]:
        """All that are files of their own."""
        named = [source for pictures in self._sets if isinstance(pictures, list) for _, source in pictures]
        return [source for source in named if isinstance(source, Path)]

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Yield (name, path or binary file), in a fixed order."""
        return ((name, source) for name, source, _ in self.items(range(len(self))))

    def items(self, numbers: Iterable[int]) -> Iterator[tuple[str, Any, int]]:
        """Yield (name, path or binary file, NO_LABEL) of those with these numbers, which ascend."""
        for number, among in groupby(
            numbers, lambda n: int(np.searchsorted(self._starts, self._wanted[n], "right")) - 1
        ):
            pictures, first = self._sets[number], int(self._starts[number])
            own = [self._wanted[n] - first for n in among]
            found = (pictures[n] for n in own) if isinstance(pictures, list) else pictures.items(own)
            yield from ((name, source, NO_LABEL) for name, source, *_ in found)


def _sample_set(given: str | StandardInput, split: str | None, frames: bool) -> Any:
    if isinstance(given, StandardInput):
        return [(str(given), given)]
    path = Path(given)
    if is_folder(path):
        folder = _split_folder(path, split)
        files = recordings_below(folder) if frames else files_below(folder, ENDINGS)
        found = [(str(file.relative_to(folder)), file) for file in files]
        if not found:
            what, endings = ("recordings", RECORDINGS | TABLES) if frames else ("pictures", ENDINGS)
            raise ImageError(f"folder '{folder}': expected {what} ({', '.join(sorted(endings))}), found none")
        return found
    if path.suffix.lower() in (".h5", ".hdf5") and not (frames and is_recording(path)):
        require_file(path, "data set", ImageError)
        return Pack(path, split, "bin" if frames else "jpeg")
    require_file(path, "recording" if frames else "picture", ImageError)
    return [(str(path), path)]


class ImageFolder(Labelled):
    """A folder per class; classes and files in natural order ('img2' before 'img10').

    Folder names become labels as `classes.match` says.
    """

    def __init__(self, path: Path, classes: tuple[str, ...], split: str | None, by_order: bool) -> None:
        self.path = _split_folder(path, split)
        folders = class_folders(self.path)
        if not folders:
            raise ImageError(f"folder '{self.path}': expected one folder per class, found none")
        names = [folder.name for folder in folders]
        self.matched = match(names, classes, f"folder '{self.path}': class folder", by_order=by_order)
        self._items = [
            (file, label)
            for folder, label in zip(folders, self.matched.labels, strict=True)
            for file in files_below(folder, ENDINGS)
        ]
        if not self._items:
            raise ImageError(f"folder '{self.path}': expected pictures ({', '.join(sorted(ENDINGS))}), found none")

    @property
    def files(self) -> list[Path]:
        """All of them."""
        return [file for file, *_ in self._items]

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._items)

    def items(self, numbers: Iterable[int]) -> Iterator[tuple[str, Any, int]]:
        """Yield (name, path, label)."""
        for number in numbers:
            file, label = self._items[number]
            yield str(file.relative_to(self.path)), file, label


def is_folder(path: Path) -> bool:
    """Tell a folder; a path that cannot be looked at is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name too long, a folder that may not be entered, a null byte
        return False


def class_folders(path: Path) -> list[Path]:
    """Folders in natural order, without clutter."""
    return sorted((entry for entry in path.iterdir() if not _is_clutter(entry.name) and entry.is_dir()), key=_natural)


def files_below(folder: Path, endings: AbstractSet[str]) -> list[Path]:
    """Files of some endings, without clutter; links to nowhere too, so that they are reported; no locked folder.

    Raises ImageError when a folder may not be read.
    """

    def refuse(error: OSError) -> None:
        raise ImageError(f"folder '{error.filename}' cannot be read ({error.strerror}); check its permissions")

    found = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not _is_clutter(name)]  # os.walk does not enter the others
        found += [Path(parent) / name for name in names if not name.startswith(RESOURCE_FORK)]
    return sorted((file for file in found if file.suffix.lower() in endings), key=_natural)


def recordings_below(folder: Path) -> list[Path]:
    """Files of the endings that recordings have, without lists that stand beside them."""
    found = files_below(folder, RECORDINGS | TABLES)
    if not any(file.suffix.lower() in RECORDINGS for file in found):
        return found
    return [file for file in found if file.suffix.lower() in RECORDINGS or _opens(file)]


def _opens(file: Path) -> bool:
    try:
        open_recorded(file)
    except RecordingError:
        return False
    return True


def _is_clutter(folder: str) -> bool:
    return folder.startswith(".") or folder in CLUTTER or folder.endswith(UNFINISHED)


def _split_folder(path: Path, split: str | None) -> Path:
    if split is not None:
        if not is_folder(path / split):
            raise ImageError(f"folder '{path}': expected a sub-folder {shown(split)}, found none; choose with --split")
        return path / split
    return next((path / name for name in SPLIT_FOLDERS if (path / name).is_dir()), path)


def _natural(path: Path) -> tuple[list[tuple[int, int | str]], str]:
    """Sort key that compares digits as numbers; the name decides between 'a1', 'A1' and 'a01'."""
    parts = re.split(r"(\d+)", str(path).lower())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts], str(path)
