"""Packs: pictures, or recordings, in one HDF5 file. Read some at a time."""

import io
import weakref
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError
from ..files import open_plain
from ..hdf5 import File, chunk_bytes, damage_named, looked_at
from .classes import Matched, by_label, match

CONTENTS = {"jpeg": "pictures", "bin": "recordings"}  # of packs, by the name of the files' array
MOST_NAMES = 100_000  # of classes
LARGEST = 1 << 30  # bytes; a file of a pack is in memory as a whole
SPAN = 1 << 20  # bytes that are read at a time: at least a file, and a chunk of the array
SPLIT_GROUPS = ("test", "validation", "val", "valid", "eval", "evaluation")  # the first that exists is taken


class Numbered:
    """Samples that can be had by their number, or one after the other."""

    def __len__(self) -> int:
        """Number of samples."""
        raise NotImplementedError

    def items(self, numbers: Iterable[int]) -> Iterator[tuple[str, Any, int]]:
        """Yield (name, source as `reading.read` takes it, label) of those with these numbers, which ascend."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[tuple[str, Any, int]]:
        """Yield all, in a fixed order."""
        return self.items(range(len(self)))


class Labelled(Numbered):
    """A labelled set of pictures, or of recordings.

    Attributes
    ----------
    matched : how its classes became labels
    """

    matched: Matched

    @property
    def files(self) -> list[Path]:
        """All samples that are files of their own."""
        return []


class Pack(Numbered):
    """All pictures, or recordings, in one HDF5 file.

    A group per split, with `jpeg` uint8 (all encoded files back to back), `offset` int64 (n + 1) and `label` (n);
    picture i is jpeg[offset[i]:offset[i + 1]]. Attribute `classes` of the root: the class names by label.

    Parameters
    ----------
    content : name of the files' array: 'jpeg', or 'bin' of recordings

    Attributes
    ----------
    labels : integer[n], as the file has them
    names : class names by label, if the file has them
    """

    def __init__(self, path: Path, split: str | None, content: str = "jpeg") -> None:
        self.path, self._content = path, content
        with ExitStack() as stack:
            stream = stack.enter_context(open_plain(path, "pack", ImageError))
            expected = f"HDF5 with {content}, offset and label"
            named = f"pack '{path}'", ImageError, expected, "write the pack again"
            self._damage_named = partial(damage_named, stream, *named)
            with self._damage_named():
                names, n_bytes = self._look(stack.enter_context(looked_at(stream)), split)
            if np.size(names) > MOST_NAMES:
                raise ImageError(
                    f"pack '{path}': expected at most {MOST_NAMES:,} class names, found {np.size(names):,}"
                )
            self.names = tuple(map(str, np.atleast_1d(() if names is None else names)))
            self._require_sound(n_bytes)
            weakref.finalize(self, stack.pop_all().close)  # it stays open: to look at all of it again takes long

    def _look(self, file: File, split: str | None) -> tuple[Any, int]:
        """Find the arrays; returns the class names, if the file has them, and the bytes of the files, -1: not uint8."""
        content = self._content
        self.split = _pack_split(file, split)
        for other, kind in CONTENTS.items():
            if f"{self.split}/{content}" not in file and f"{self.split}/{other}" in file:
                raise ImageError(
                    f"expected HDF5 with {content}, offset and label, found {other}: {kind}, which need other --weights"
                )
        missing = [name for name in (content, "offset", "label") if f"{self.split}/{name}" not in file]
        if missing:
            raise ImageError(
                f"expected HDF5 with {content}, offset and label, found group '{self.split}' without {missing[0]}"
            )
        files, offset, label = (file[f"{self.split}/{name}"] for name in (content, "offset", "label"))
        if label.size > files.size:
            raise ImageError(f"expected files of a byte or more, found {files.size} bytes for {label.size} labels")
        self._files, self._span = files, max(SPAN, chunk_bytes(files))
        self._offsets, self.labels = np.asarray(offset[()]), np.asarray(label[()])
        n_bytes = files.shape[0] if files.dtype == np.uint8 and files.ndim == 1 else -1
        return file.attribute("classes", variable=True), n_bytes

    def _require_sound(self, n_bytes: int) -> None:
        """Refuse labels and offsets that do not fit each other, or the bytes of the files; -1 bytes: not uint8."""
        path, content, offsets, labels = self.path, self._content, self._offsets, self.labels
        if offsets.dtype.kind == "u" and offsets.itemsize < 8:  # whose differences would not go below 0
            offsets = self._offsets = offsets.astype(np.int64)
        if labels.ndim != 1 or not len(labels) or not np.issubdtype(labels.dtype, np.integer):
            raise ImageError(
                f"pack '{path}': expected one integer label per file, found {labels.dtype} of shape {labels.shape}"
            )
        if (
            not np.issubdtype(offsets.dtype, np.integer)
            or offsets.shape != (len(labels) + 1,)
            or offsets[0] < 0
            or (np.diff(offsets) < 0).any()
            or offsets[-1] > n_bytes
        ):
            raise ImageError(
                f"pack '{path}': offset does not fit {len(labels)} labels and {n_bytes} bytes of uint8 {content}"
            )
        if np.diff(offsets).max() > LARGEST:
            raise ImageError(
                f"pack '{path}': expected files of at most {LARGEST} bytes, found one of {np.diff(offsets).max()}"
            )

    def __len__(self) -> int:
        """Number of files."""
        return len(self.labels)

    def items(self, numbers: Iterable[int]) -> Iterator[tuple[str, Any, int]]:
        """Yield (name, binary file, label as in the file)."""
        for span in self._spans(numbers):
            first = int(self._offsets[span[0]])
            content = self._bytes(first, int(self._offsets[span[-1] + 1]))
            for i in span:
                encoded = content[int(self._offsets[i]) - first : int(self._offsets[i + 1]) - first]
                yield f"{self.split}/{i}", io.BytesIO(encoded), int(self.labels[i])

    def _spans(self, numbers: Iterable[int]) -> Iterator[list[int]]:
        """The numbers of files that are read at a time."""
        span: list[int] = []
        for i in numbers:
            if span and int(self._offsets[i + 1]) - int(self._offsets[span[0]]) > self._span:
                yield span
                span = []
            span.append(i)
        if span:
            yield span

    def _bytes(self, first: int, end: int) -> bytes:
        with self._damage_named():
            try:
                return bytes(self._files[first:end].tobytes())
            except OSError as error:
                raise ImageError(f"bytes {first} to {end - 1} cannot be read ({error})") from None


class LabelledPack(Labelled):
    """A pack with the labels of the weights.

    Names of its classes are matched as those of folders; labels without names are numbers of classes.
    """

    def __init__(self, pack: Pack, classes: tuple[str, ...], by_order: bool) -> None:
        self._pack, found = pack, np.unique(pack.labels).tolist()
        named = match(pack.names, classes, f"pack '{pack.path}': class", by_order=by_order) if pack.names else None
        self._label = dict(enumerate(named.labels)) if named else by_label(found, classes)
        if not self._label.keys() >= set(found):
            raise ImageError(
                f"pack '{pack.path}': expected labels 0 to {len(self._label) - 1}, found {found[0]} to {found[-1]}"
            )
        self.matched = named or Matched("number", tuple(map(str, found)), tuple(self._label[n] for n in found))

    def __len__(self) -> int:
        """Number of files."""
        return len(self._pack)

    def items(self, numbers: Iterable[int]) -> Iterator[tuple[str, Any, int]]:
        """Yield (name, binary file, label)."""
        for name, file, number in self._pack.items(numbers):
            yield name, file, self._label[number]


def _pack_split(file: File, split: str | None) -> str:
    groups = [path for path in file.groups if path and "/" not in path]
    if split is None:
        usual = [name for name in SPLIT_GROUPS if name in groups] or groups
        if not usual:
            raise ImageError("expected a group per split, found none")
        return usual[0]
    if split not in groups:
        found = ", ".join(groups[:8]) or "none"
        raise ImageError(f"expected split '{split}', found {found}; choose with --split")
    return split
