"""Packs: pictures, or recordings, in one HDF5 file. Read one by one."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import ImageError
from .classes import Matched, by_label, match

CONTENTS = {"jpeg": "pictures", "bin": "recordings"}  # of packs, by the name of the files' array
LARGEST = 1 << 30  # bytes; a file of a pack is in memory as a whole
SPLIT_GROUPS = ("test", "validation", "val", "valid", "eval", "evaluation")  # the first that exists is taken


class Pack:
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
                self.labels = np.asarray(group["label"][()])
                files = group[content]
                n_bytes = files.shape[0] if files.dtype == np.uint8 else -1
                names = np.atleast_1d(file.attrs.get("classes", ()))
                self.names = tuple(n.decode() if isinstance(n, bytes) else str(n) for n in names)
        except ImageError as error:
            raise ImageError(f"pack '{path}': {error}") from None
        except MemoryError:
            raise
        except Exception as error:  # h5py raises OSError, RuntimeError, KeyError, TypeError, ValueError, ...
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ImageError(
                f"pack '{path}': expected HDF5 with {content}, offset and label, found otherwise ({reason})"
            ) from None
        self._require_sound(n_bytes)

    def _require_sound(self, n_bytes: int) -> None:
        """Refuse labels and offsets that do not fit each other, or the bytes of the files; -1 bytes: not uint8."""
        path, content, offsets, labels = self.path, self._content, self._offsets, self.labels
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

    def __iter__(self) -> Iterator[tuple[str, Any, int]]:
        """Yield (name, binary file, label as in the file)."""
        with h5py.File(self.path, "r") as file:
            files = file[self.split][self._content]
            for i, label in enumerate(self.labels):
                try:
                    encoded = files[self._offsets[i] : self._offsets[i + 1]]
                except OSError as error:
                    raise ImageError(f"pack '{self.path}': file {i} cannot be read ({error})") from None
                yield f"{self.split}/{i}", io.BytesIO(encoded.tobytes()), int(label)


class LabelledPack:
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

    def __iter__(self) -> Iterator[tuple[str, Any, int]]:
        """Yield (name, binary file, label)."""
        for name, file, number in self._pack:
            yield name, file, self._label[number]


def _pack_split(file: Any, split: str | None) -> str:
    groups = [name for name, node in file.items() if isinstance(node, h5py.Group)]
    if split is None:
        usual = [name for name in SPLIT_GROUPS if name in groups] or groups
        if not usual:
            raise ImageError("expected a group per split, found none")
        return usual[0]
    if split not in groups:
        raise ImageError(f"expected split '{split}', found {', '.join(groups) or 'none'}; choose with --split")
    return split
