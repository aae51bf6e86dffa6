"""Which class is taken for which, on a screen: the whole matrix of few classes, the worst of many.

This room knows nothing of `measuring`, so that it takes what was counted there as plain values.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from .screen import Screen, table
from .words import plain

FEW = 12  # classes whose matrix fits a window of 80 columns
LISTED = 10  # of more: classes of the lowest accuracy, and confusions


class OfClass(Protocol):
    """A class, as `measuring.confusion.ClassAccuracy` has it."""

    @property
    def name(self) -> str: ...
    @property
    def right(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def unreadable(self) -> int: ...
    @property
    def accuracy(self) -> float | None: ...
    @property
    def interval(self) -> tuple[float, float] | None: ...


def show_matrix(screen: Screen, names: Sequence[str], counts: np.ndarray) -> None:
    """Print the matrix of few classes: a row for each label, a column for each predicted label, by its number.

    counts : int64[K, K]
    """
    shown = table("label, as predicted", *map(str, range(len(names))), gap=1)
    for label, (name, row) in enumerate(zip(names, counts.tolist(), strict=True)):
        cells = [f"{n:,}" if n else "" for n in row]
        cells[label] = f"[bold]{row[label]:,}[/]"
        shown.add_row(f"{label} {plain(name)}", *cells)
    screen.print_table(shown)


def show_per_class(screen: Screen, classes: Sequence[OfClass]) -> None:
    """Print how many images of each class are right, with the interval of 95 %."""
    lost = any(each.unreadable for each in classes)
    shown = table("class", "right", "of", "accuracy", "95 % interval", *["unreadable"] * lost)
    for each in classes:
        accuracy = "" if each.accuracy is None else f"{each.accuracy:.1%}"
        interval = "" if each.interval is None else "{:.1%} to {:.1%}".format(*each.interval)
        unreadable = [f"{each.unreadable:,}" if each.unreadable else ""] * lost
        shown.add_row(plain(each.name), f"{each.right:,}", f"{each.total:,}", accuracy, interval, *unreadable)
    screen.print_table(shown)


def show_largest(screen: Screen, largest: Sequence[tuple[str, str, int]]) -> None:
    """Print which classes are most often taken for another: (label, predicted, images)."""
    shown = table("class", "taken for", "images", left=2)
    for label, predicted, images in largest:
        shown.add_row(plain(label), plain(predicted), f"{images:,}")
    screen.print_table(shown)
