"""Labelled pictures to evaluate on: a folder per class, or one packed HDF5 file. Read one by one."""

import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Protocol, TypeVar

import h5py
import numpy as np

from ..camera.opening import is_recording
from ..errors import ImageError, require_file
from ..weights.presets import synsets

# torchvision's list of picture endings, which the official code inherits
ENDINGS = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"}
RECORDINGS = {".aedat", ".aedat4", ".npz", ".bin", ".raw", ".dat", ".h5", ".hdf5"}
TABLES = {".npy", ".txt", ".csv"}  # recordings, too, where a folder has no others: else they may be lists beside them
CONTENTS = {"jpeg": "pictures", "bin": "recordings"}  # of packs, by the name of the files' array
LARGEST = 1 << 30  # bytes; a file of a pack is in memory as a whole
SPLIT_FOLDERS = ("validation", "val", "valid", "eval", "evaluation", "test")  # the first that exists is taken

Item = TypeVar("Item")


class Labelled(Protocol):
    """A labelled set of pictures, or of recordings."""

    def __len__(self) -> int:
        """Number of them."""

    def __iter__(self) -> Iterator[tuple[str, Any, int]]:
        """Yield (name, source as `reading.read` takes it, label), in a fixed order."""


def open_pictures(path: str | Path, classes: tuple[str, ...], split: str | None = None) -> Labelled:
    """Open a class-per-folder tree, or an HDF5 pack.

    Parameters
    ----------
    classes : class names of the weights, in label order
    split : sub-folder or group to read; None takes the usual one

    Raises ImageError when the set is missing, empty, unreadable, or has classes that the weights do not know.
    """
    source = Path(path)
    try:
        is_folder = source.is_dir()
    except (OSError, ValueError):
        is_folder = False
    if is_folder:
        return ImageFolder(source, classes, split)
    require_file(source, "data set", ImageError)
    return Pack(source, classes, split)


def spread(n: int, limit: int | None) -> Sequence[int]:
    """Numbers of those that are taken of a set of n: `limit` of them, evenly spread; all where it is None."""
    if limit is None or limit >= n:
        return range(n)
    return [i * n // limit for i in range(limit)]


def taken(items: Iterable[Item], numbers: Sequence[int]) -> Iterator[Item]:
    """The items of these numbers, which ascend."""
    wanted = iter(numbers)
    number = next(wanted, None)
    for at, item in enumerate(items):
        if at == number:
            yield item
            number = next(wanted, None)
        if number is None:
            return


class Samples:
    """Pictures or recordings, whatever they show: files that are named, all below a folder, those of a pack.

    Parameters
    ----------
    data : paths
    classes, split : as in `open_pictures`
    limit : at most so many, evenly spread; None takes all
    frames : recordings, not pictures

    Raises ImageError when there are none, or a path is none of these.
    """

    def __init__(
        self,
        data: Sequence[str],
        classes: tuple[str, ...],
        split: str | None = None,
        limit: int | None = None,
        frames: bool = False,
    ) -> None:
        self._sets = [_sample_set(Path(path), classes, split, frames) for path in data]
        self._wanted = spread(sum(map(len, self._sets)), limit)

    def __len__(self) -> int:
        """Number of them."""
        return len(self._wanted)

    @property
    def files(self) -> list[Path]:
        """All that are files of their own."""
        return [source for pictures in self._sets if isinstance(pictures, list) for _, source in pictures]

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Yield (name, path or binary file), in a fixed order."""
        everything = ((name, source) for pictures in self._sets for name, source, *_ in pictures)
        return taken(everything, self._wanted)


def _sample_set(path: Path, classes: tuple[str, ...], split: str | None, frames: bool) -> Any:
    if path.is_dir():
        folder = _split_folder(path, split)
        files = recordings_below(folder) if frames else files_below(folder, ENDINGS)
        found = [(str(file.relative_to(folder)), file) for file in files]
        if not found:
            what, endings = ("recordings", RECORDINGS | TABLES) if frames else ("pictures", ENDINGS)
            raise ImageError(f"folder '{folder}': expected {what} ({', '.join(sorted(endings))}), found none")
        return found
    if path.suffix.lower() in (".h5", ".hdf5") and not (frames and is_recording(path)):
        require_file(path, "data set", ImageError)
        return Pack(path, classes, split, "bin" if frames else "jpeg")
    require_file(path, "recording" if frames else "picture", ImageError)
    return [(str(path), path)]


class Pack:
    """All pictures, or recordings, in one HDF5 file.

    A group per split, with `jpeg` uint8 (all encoded files back to back), `offset` int64 (n + 1) and `label` (n);
    picture i is jpeg[offset[i]:offset[i + 1]]. Attribute `classes` of the root: the class names by label.

    Parameters
    ----------
    content : name of the files' array: 'jpeg', or 'bin' of recordings
    """

    def __init__(self, path: Path, classes: tuple[str, ...], split: str | None, content: str = "jpeg") -> None:
        self.path, self._content = path, content
        try:
            with h5py.File(path, "r") as file:
                self.split = _pack_split(file, split)
                group = file[self.split]
                for other, kind in CONTENTS.items():
                    if content not in group and other in group:
                        raise ImageError(
                            f"expected HDF5 with {content}, offset and label, found {other}: {kind}, which need other "
                            "--weights"
                        )
                self._offsets = np.asarray(group["offset"][()])
                labels = np.asarray(group["label"][()])
                files = group[content]
                n_bytes = files.shape[0] if files.dtype == np.uint8 else -1
                names = [
                    n.decode() if isinstance(n, bytes) else str(n) for n in np.atleast_1d(file.attrs.get("classes", ()))
                ]
        except ImageError as error:
            raise ImageError(f"pack '{path}': {error}") from None
        except MemoryError:
            raise
        except Exception as error:  # h5py raises OSError, RuntimeError, KeyError, TypeError, ValueError, ...
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ImageError(
                f"pack '{path}': expected HDF5 with {content}, offset and label, found otherwise ({reason})"
            ) from None
        self._labels = _pack_labels(path, labels, names, classes)
        offsets = self._offsets
        if (
            not np.issubdtype(offsets.dtype, np.integer)
            or offsets.shape != (len(self._labels) + 1,)
            or offsets[0] < 0
            or (np.diff(offsets) < 0).any()
            or offsets[-1] > n_bytes
        ):
            raise ImageError(
                f"pack '{path}': offset does not fit {len(self._labels)} labels and {n_bytes} bytes of uint8 {content}"
            )
        if np.diff(offsets).max() > LARGEST:
            raise ImageError(
                f"pack '{path}': expected files of at most {LARGEST} bytes, found one of {np.diff(offsets).max()}"
            )

    def __len__(self) -> int:
        """Number of files."""
        return len(self._labels)

    def __iter__(self) -> Iterator[tuple[str, Any, int]]:
        """Yield (name, binary file, label)."""
        with h5py.File(self.path, "r") as file:
            files = file[self.split][self._content]
            for i, label in enumerate(self._labels):
                try:
                    encoded = files[self._offsets[i] : self._offsets[i + 1]]
                except OSError as error:
                    raise ImageError(f"pack '{self.path}': file {i} cannot be read ({error})") from None
                yield f"{self.split}/{i}", io.BytesIO(encoded.tobytes()), int(label)


def _pack_split(file: Any, split: str | None) -> str:
    groups = [name for name, node in file.items() if isinstance(node, h5py.Group)]
    if split is None:
        usual = [name for name in ("test", *SPLIT_FOLDERS) if name in groups] or groups
        if not usual:
            raise ImageError("expected a group per split, found none")
        return usual[0]
    if split not in groups:
        raise ImageError(f"expected split '{split}', found {', '.join(groups) or 'none'}; choose with --split")
    return split


def _pack_labels(path: Path, labels: np.ndarray, names: list[str], classes: tuple[str, ...]) -> np.ndarray:
    """Labels in the order of the weights' classes."""
    if labels.ndim != 1 or not len(labels) or not np.issubdtype(labels.dtype, np.integer):
        raise ImageError(
            f"pack '{path}': expected one integer label per file, found {labels.dtype} of shape {labels.shape}"
        )
    if names:
        unknown = [name for name in names if name not in classes]
        if unknown and (len(names) != len(classes) or len(unknown) < len(names)):
            raise ImageError(
                f"pack '{path}': class '{unknown[0]}' is unknown to the weights, which know {_few(classes)}"
            )
        order = np.array([classes.index(name) for name in names] if not unknown else range(len(names)))
    else:
        order = np.arange(len(classes))
    if labels.min() < 0 or labels.max() >= len(order):
        raise ImageError(
            f"pack '{path}': expected labels 0 to {len(order) - 1}, found {labels.min()} to {labels.max()}"
        )
    return order[labels]


class ImageFolder:
    """A folder per class; classes and files in natural order ('img2' before 'img10').

    Folder names are class names, or ImageNet synsets; else there must be one folder per class of the weights, and their
    natural order is the label order.
    """

    def __init__(self, path: Path, classes: tuple[str, ...], split: str | None) -> None:
        self.path = _split_folder(path, split)
        folders = sorted((entry for entry in self.path.iterdir() if entry.is_dir()), key=_natural)
        if not folders:
            raise ImageError(f"folder '{self.path}': expected one folder per class, found none")
        labels = _folder_labels(self.path, [folder.name for folder in folders], classes)
        self._items = [
            (file, label)
            for folder, label in zip(folders, labels, strict=True)
            for file in files_below(folder, ENDINGS)
        ]
        if not self._items:
            raise ImageError(f"folder '{self.path}': expected pictures ({', '.join(sorted(ENDINGS))}), found none")

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._items)

    def __iter__(self) -> Iterator[tuple[str, Any, int]]:
        """Yield (name, path, label)."""
        for file, label in self._items:
            yield str(file.relative_to(self.path)), file, label


def files_below(folder: Path, endings: AbstractSet[str]) -> list[Path]:
    """Files of some endings, links to nowhere too, so that they are reported; a locked folder is refused."""

    def refuse(error: OSError) -> None:
        raise ImageError(f"folder '{error.filename}' cannot be read ({error.strerror}); check its permissions")

    found = [Path(parent) / name for parent, _, names in os.walk(folder, onerror=refuse) for name in names]
    return sorted((file for file in found if file.suffix.lower() in endings), key=_natural)


def recordings_below(folder: Path) -> list[Path]:
    """Files of the endings that recordings have."""
    return files_below(folder, RECORDINGS) or files_below(folder, TABLES)


def _split_folder(path: Path, split: str | None) -> Path:
    if split is not None:
        if not (path / split).is_dir():
            raise ImageError(f"folder '{path}': expected a sub-folder '{split}', found none; choose with --split")
        return path / split
    return next((path / name for name in SPLIT_FOLDERS if (path / name).is_dir()), path)


def _folder_labels(path: Path, names: list[str], classes: tuple[str, ...]) -> list[int]:
    known = {name: label for label, name in enumerate(classes)}
    by_synset = {synset: known[name] for synset, name in synsets().items() if name in known}
    for table in (known, by_synset):
        if all(name in table for name in names):
            return [table[name] for name in names]
    unknown = next(name for name in names if name not in known)
    if len(names) == len(classes) and not any(name in known for name in names):  # half-known names are a mistake
        return list(range(len(names)))
    raise ImageError(
        f"folder '{path}': class folder '{unknown}' is unknown to the weights, which know {_few(classes)}; "
        f"expected those names, or {len(classes)} folders in label order"
    )


def _few(classes: tuple[str, ...]) -> str:
    return f"{len(classes)} classes: {', '.join(classes[:10])}{', ...' if len(classes) > 10 else ''}"


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """Sort key that compares digits as numbers."""
    parts = re.split(r"(\d+)", str(path).lower())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]
