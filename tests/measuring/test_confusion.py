"""The confusion matrix, counted by hand; the screen that shows it."""

import numpy as np
import pytest

from sdt_ref.measuring.accuracy import interval
from sdt_ref.measuring.confusion import ClassAccuracy, Confusion, Taken

CLASSES = ("cat", "dog", "ship", "plane")
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2])
PREDICTED = np.array([0, 1, 1, -1, 1, 2, 0, 2, -1])


def counted(size: int = 100) -> Confusion:
    confusion = Confusion(CLASSES)
    for first in range(0, len(LABELS), size):
        confusion.add(LABELS[first : first + size], PREDICTED[first : first + size])
    return confusion


@pytest.mark.parametrize("size", [1, 4, 100])
def test_images_are_counted_by_label_and_predicted_label(size: int) -> None:
    found = counted(size)
    assert found.counts.tolist() == [[1, 2, 0, 0], [1, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert found.unreadable.tolist() == [1, 0, 1, 0]
    assert found.counts.dtype == found.unreadable.dtype == np.int64


def test_the_accuracy_of_each_class_has_its_interval() -> None:
    cat, dog, ship, plane = counted().per_class()
    assert cat == ClassAccuracy("cat", 1, 3, 1, 1 / 3, interval(1, 3))
    assert (dog.right, dog.total, dog.unreadable) == (1, 3, 0)
    assert (ship.accuracy, ship.unreadable) == (1.0, 1)
    assert plane == ClassAccuracy("plane", 0, 0, 0, None, None)


def test_the_worst_and_the_largest_come_first_and_equal_ones_in_label_order() -> None:
    assert [each.name for each in counted().worst(9)] == ["cat", "dog", "ship"]
    assert [each.name for each in counted().worst(2)] == ["cat", "dog"]
    assert counted().largest(2) == [Taken("cat", "dog", 2), Taken("dog", "cat", 1)]
    assert counted().largest(9)[2:] == [Taken("dog", "ship", 1)]
    assert Confusion(CLASSES).largest(9) == Confusion(CLASSES).worst(9) == []


def test_any_matrix_equals_that_of_numpy() -> None:
    rng = np.random.default_rng(5)
    labels, predicted = rng.integers(0, 30, (2, 5000))
    confusion = Confusion([str(k) for k in range(30)])
    confusion.add(labels, predicted)
    expected, *_ = np.histogram2d(labels, predicted, bins=[range(31)] * 2)
    np.testing.assert_array_equal(confusion.counts, expected)
    assert sum(each.right for each in confusion.per_class()) == (labels == predicted).sum()
    assert sum(each.images for each in confusion.largest(900)) == (labels != predicted).sum()


def test_plain_lists_for_json() -> None:
    told = counted().to_json()
    assert told["confusion"] == counted().counts.tolist()
    assert told["per_class"][3] == {  # type: ignore[index]
        "name": "plane", "right": 0, "total": 0, "unreadable": 0, "accuracy": None, "interval": None
    }  # fmt: skip
