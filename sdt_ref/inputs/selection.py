"""Which samples of which data, in a few words from which any process opens the same ones; and the hash of each."""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..camera.recording import EventFile
from ..errors import ConfigError, SdtError
from ..files import open_plain
from .classes import Matched
from .datasets import Samples, open_pictures, spread
from .packs import Labelled
from .recordings import open_recordings
from .standard_input import StandardInput

PIECE = 1 << 20  # bytes that are hashed at a time


class Item(NamedTuple):
    """One sample: its name, its source as `reading.read` takes it, and its label, NO_LABEL where nobody gave one."""

    name: str
    source: Any
    label: int


@dataclass(frozen=True)
class Selection:
    """Samples of one labelled data set, or of any files, folders and packs.

    Attributes
    ----------
    paths : of the data; where labels are asked for, one
    frames : whether they are recordings, not pictures
    split : see `datasets.open_pictures`
    limit : at most so many, evenly spread; None takes all
    classes : of the weights, in label order, where labels are asked for; else None
    by_order : see `classes.match`
    """

    paths: tuple[str | StandardInput, ...]
    frames: bool
    split: str | None = None
    limit: int | None = None
    classes: tuple[str, ...] | None = None
    by_order: bool = False

    def open(self) -> "Selected":
        """Open the data. Raises ImageError, RecordingError or ConfigError as the data sets do."""
        if self.classes is None:
            samples = Samples(self.paths, self.split, frames=self.frames)
            return Selected(samples, spread(len(samples), self.limit), None)
        open_set = open_recordings if self.frames else open_pictures
        labelled = open_set(str(self.paths[0]), self.classes, self.split, self.by_order)
        return Selected(labelled, spread(len(labelled), self.limit), labelled.matched)


class Selected:
    """Samples by their number, from 0.

    Parameters
    ----------
    data : where they are
    numbers : of each one in the data, ascending

    Attributes
    ----------
    numbers : as given
    whole : number of all that are in the data
    matched : how the classes of the data became labels, where they did
    """

    def __init__(self, data: Labelled | Samples, numbers: Sequence[int], matched: Matched | None) -> None:
        self._data, self.numbers, self.matched = data, numbers, matched
        self.whole = len(data)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.numbers)

    @property
    def files(self) -> list[Path]:
        """All samples that are files of their own."""
        return self._data.files

    def items(self, numbers: Iterable[int]) -> Iterator[Item]:
        """Yield the samples with these numbers, which ascend."""
        return (Item(*item) for item in self._data.items(self.numbers[n] for n in numbers))


def fingerprints(items: Iterable[Item]) -> Iterator[bytes]:
    """The sha256 of name, label and content of each sample."""
    for item in items:
        name = item.name.encode("utf-8", "surrogateescape")
        content = f"{len(name)} {item.label} {_content_digest(item.source)} ".encode() + name + _cut(item.source)
        yield hashlib.sha256(content).digest()


def _cut(source: Any) -> bytes:
    """From when to when a trial is cut from its recording, as its name says behind the path."""
    return source.name.removeprefix(str(source.path)).encode() if isinstance(source, EventFile) else b""


def _content_digest(source: Any) -> str:
    """Of the bytes of a file, or of the whole recording that a trial is cut from; a word where it cannot be read."""
    if isinstance(source, io.BytesIO):
        return hashlib.sha256(source.getbuffer()).hexdigest()
    path: Any = source.path if isinstance(source, EventFile) else source
    content = hashlib.sha256()
    try:
        with open_plain(path, "sample", ConfigError) as file:
            while piece := file.read(PIECE):
                content.update(piece)
    except (SdtError, OSError):
        return "unreadable"
    return content.hexdigest()
