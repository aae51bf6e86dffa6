"""Some images of a run, and what must hold for them in every form of the file."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from ...errors import ConfigError, SdtError, reason_of, shown
from ...files import open_plain

UNREAD = -1  # predicted label of an image that could not be read
CHUNK = 1024  # rows at a time
BLOCK = 1 << 24  # bytes at a time, where rows are wide
LONGEST_NAME = 1 << 15  # characters of a name; no system has longer paths
MOST_CLASSES = 100_000


@dataclass(frozen=True, eq=False)
class Rows:
    """Images one after the other, in the order of the data.

    Attributes
    ----------
    names : of the images; empty where a file has labels alone
    labels : int64[n]; empty where a file has predicted labels alone
    predicted : int64[n], -1 of an image that could not be read
    logits : float32[n, K], or float64 of a run in float64; NaN of an unreadable image; K is 0 of labels alone
    sums : int64[n, K], in fixed point: of the head, added up over the time steps; 0 of an unreadable image
    scale : of all sums of a run: logits = sums x scale
    """

    names: Sequence[str]
    labels: np.ndarray
    predicted: np.ndarray
    logits: np.ndarray
    sums: np.ndarray | None = None
    scale: float | None = None

    def __len__(self) -> int:
        """Number of images."""
        return len(self.predicted)

    def __getitem__(self, part: slice) -> "Rows":
        """Some of them."""
        sums = None if self.sums is None else self.sums[part]
        return Rows(self.names[part], self.labels[part], self.predicted[part], self.logits[part], sums, self.scale)

    def at(self, places: Sequence[int]) -> "Rows":
        """Those at these places."""
        some = np.array(places, np.intp)
        names = [self.names[place] for place in places] if self.names else []
        labels = self.labels[some] if len(self.labels) else self.labels
        sums = None if self.sums is None else self.sums[some]
        return Rows(names, labels, self.predicted[some], self.logits[some], sums, self.scale)


Chunks = Callable[[], Iterator[Rows]]


@dataclass(frozen=True)
class Content:
    """A file that is open to be read: what it says of all images, and its rows, any number of times.

    Attributes
    ----------
    classes : names by label; None of labels alone
    run : digest of its run; None where the file does not tell
    has_sums : whether it is of fixed point
    read : takes the most rows of a chunk; fewer come at a time where they are wide
    """

    classes: tuple[str, ...] | None
    run: str | None
    has_sums: bool
    read: Callable[[int], Iterator[Rows]]


@contextmanager
def reading(path: str, what: str = "results") -> Iterator[BinaryIO]:
    """Open a file; whatever is wrong with it becomes a ConfigError that names it."""
    with open_plain(path, what, ConfigError) as file:
        try:
            yield file
        except SdtError as error:
            raise ConfigError(f"{what} '{path}': {error}") from None
        except OSError as error:
            raise ConfigError(f"{what} '{path}' cannot be read: {error.strerror or reason_of(error)}") from None
        except MemoryError:
            raise
        except Exception as error:  # what NumPy, zipfile, its decompressors and csv raise
            raise ConfigError(
                f"{what} '{path}': expected a file that evaluate --output wrote ({reason_of(error)}); write it again"
            ) from None


def require_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """The names of all classes; raises ConfigError where there are none, too many, or what is no name."""
    if not 0 < len(classes) <= MOST_CLASSES:
        raise ConfigError(f"expected 1 to {MOST_CLASSES:,} classes, found {len(classes):,}")
    _require_names("class", classes, 0)
    return tuple(classes)


def require_sound(rows: Rows, n_classes: int, first: int) -> Rows:
    """The rows; raises ConfigError where they contradict themselves. first : number of images before them."""
    _require_names("image", rows.names, first)
    for what, values, least in (("label", rows.labels, 0), ("predicted", rows.predicted, UNREAD)):
        wrong = (values < least) | (values >= n_classes)
        if wrong.any():
            at = int(wrong.argmax())
            raise ConfigError(
                f"image {first + at}: {what}: expected {least} to {n_classes - 1}, found {int(values[at])}"
            )
    unreadable = rows.predicted == UNREAD
    sums = np.zeros((len(rows), 0)) if rows.sums is None else rows.sums
    if not np.isnan(rows.logits[unreadable]).all() or sums[unreadable].any():
        raise ConfigError(f"images from {first}: expected logits nan and sums 0 where predicted is -1, found others")
    best = np.take_along_axis(rows.logits, np.maximum(rows.predicted, 0)[:, None], axis=1)
    greater = (rows.logits > best).any(axis=1)
    if greater.any():
        raise ConfigError(
            f"image {first + int(greater.argmax())}: expected no logit above that of the predicted label, found one"
        )
    return rows


def require_scale(scale: float) -> float:
    """The scale; raises ConfigError for what is none."""
    if not 0 < scale < np.inf:
        raise ConfigError(f"scale: expected a finite number above 0, found {shown(scale)}")
    return scale


def _require_names(what: str, names: Sequence[str], first: int) -> None:
    for number, name in enumerate(names, first):
        if len(name) > LONGEST_NAME or "\0" in name:
            raise ConfigError(
                f"{what} {number}: expected a name of at most {LONGEST_NAME:,} characters without NUL, "
                f"found {shown(name)}"
            )
