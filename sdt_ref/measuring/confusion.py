"""Which class is taken for which: the confusion matrix, and how many of each class are right."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .accuracy import interval


class ClassAccuracy(NamedTuple):
    """How many images of a class are right.

    Attributes
    ----------
    right, total : images that were classified
    unreadable : images that could not be read, which are not in the total
    accuracy : share of the total; None of a class without images
    interval : where the true share lies with 95 % confidence: see `accuracy.interval`
    """

    name: str
    right: int
    total: int
    unreadable: int
    accuracy: float | None
    interval: tuple[float, float] | None


class Taken(NamedTuple):
    """How many images of a class were taken for another."""

    label: str
    predicted: str
    images: int


class Confusion:
    """What was counted.

    Attributes
    ----------
    classes : names by label
    counts : int64[K, K], images by label and predicted label
    unreadable : int64[K], images by label
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self.counts = np.zeros((len(self.classes), len(self.classes)), np.int64)
        self.unreadable = np.zeros(len(self.classes), np.int64)

    def add(self, labels: np.ndarray, predicted: np.ndarray) -> None:
        """Count some images: int64[n] each; a predicted label below 0 is of one that could not be read."""
        read = predicted >= 0
        np.add.at(self.counts, (labels[read], predicted[read]), 1)
        np.add.at(self.unreadable, labels[~read], 1)

    def per_class(self) -> list[ClassAccuracy]:
        """Of every class, in label order."""
        right, total = self.counts.diagonal().tolist(), self.counts.sum(axis=1).tolist()
        return [
            ClassAccuracy(name, r, n, lost, r / n if n else None, interval(r, n) if n else None)
            for name, r, n, lost in zip(self.classes, right, total, self.unreadable.tolist(), strict=True)
        ]

    def worst(self, most: int) -> list[ClassAccuracy]:
        """The classes of the lowest accuracy, the lowest first; equal ones in label order."""
        seen = [each for each in self.per_class() if each.accuracy is not None]
        return sorted(seen, key=lambda each: each.accuracy or 0)[:most]

    def largest(self, most: int) -> list[Taken]:
        """The classes that are most often taken for another, the most often first; equal ones in label order."""
        label, predicted = (self.counts * ~np.eye(len(self.classes), dtype=np.bool_)).nonzero()
        images = self.counts[label, predicted]
        order = np.argsort(-images, kind="stable")[:most]
        return [Taken(self.classes[label[n]], self.classes[predicted[n]], int(images[n])) for n in order]

    def to_json(self) -> dict[str, object]:
        """Plain lists: of the classes, and the matrix, a row for each label."""
        return {
            "per_class": [each._asdict() for each in self.per_class()],
            "confusion": self.counts.tolist(),
        }
