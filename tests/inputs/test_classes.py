"""Class names of a data set become labels: by name, by number, by order if asked, and never by a guess."""

import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import sdt_ref
from sdt_ref.inputs.classes import by_label, match
from sdt_ref.weights.presets import class_names
from tests.recordings import DIGITS, GESTURES
from tests.shipped import CIFAR10

IMAGENET = class_names("imagenet") or ()
CIFAR100 = class_names("cifar100") or ()
GERMAN = ("Auto", "Flugzeug", "Frosch", "Hirsch", "Hund", "Katze", "Lastwagen", "Pferd", "Schiff", "Vogel")
SPLIT_BY_TEXT = ("0", "1", "10", "2", "3", "4", "5", "6", "7", "8", "9")


@pytest.mark.parametrize(
    ("names", "classes", "by", "labels"),
    [
        (CIFAR10, CIFAR10, "name", range(10)),
        (("truck", "cat"), CIFAR10, "name", (9, 3)),
        (("n02123045", "n01440764"), IMAGENET, "synset", (281, 0)),
        (("Truck", "CAT", "dog"), CIFAR10, "name", (9, 3, 5)),
        (("aquarium fish", "Pickup-Truck"), CIFAR100, "name", (1, 58)),
        ((unicodedata.normalize("NFD", "Käse"),), (unicodedata.normalize("NFC", "Käse"), "a"), "name", (0,)),
        (("cardigan", "Cardigan"), IMAGENET, "name", (474, 264)),  # a garment and a dog
        (("0", "3", "9"), DIGITS, "name", (0, 3, 9)),
        (("00", "03", "09"), DIGITS, "number", (0, 3, 9)),
        (("00", "9", "10"), SPLIT_BY_TEXT, "number", (0, 10, 2)),
        (("9", "10", "2"), SPLIT_BY_TEXT, "name", (10, 2, 3)),
        (("1", "2", "10"), tuple(f"class {k}" for k in range(11)), "number", (1, 2, 10)),
        (("01", "02", "03"), CIFAR10, "number", (1, 2, 3)),
        (("0", "2", "10"), GESTURES, "number of DVS128 Gesture", (0, 3, 2)),  # its folder 10 holds 'other_gestures'
        (("00", "02", "10"), GESTURES, "number of DVS128 Gesture", (0, 3, 2)),
        (("left_hand_wave",), GESTURES, "name", (3,)),
    ],
)
def test_names_then_numbers(names: Sequence[str], classes: Sequence[str], by: str, labels: Sequence[int]) -> None:
    for by_order in (False, True):
        found = match(names, classes, "class", by_order=by_order)
        assert (found.by, found.names, found.labels) == (by, tuple(names), tuple(labels))


@pytest.mark.parametrize(
    ("names", "classes", "unknown"),
    [
        (GERMAN, CIFAR10, "Auto"),
        (("bird", "car", *CIFAR10[3:], "plane"), CIFAR10, "car"),  # half known
        (("Bird", "car"), CIFAR10, "car"),
        (("cat", "Cat"), CIFAR10, "Cat"),  # two folders, one class
        (("1", "01"), CIFAR10, "1"),
        (("0", "1", "two"), CIFAR10, "two"),
        (("0", "cat"), CIFAR10, "0"),
        (("8", "9", "10"), CIFAR10, "10"),
        (("9" * 5000,), CIFAR10, "999"),
        (("\u00b2",), CIFAR10, "\u00b2"),
        (("-1",), DIGITS, "-1"),
        (("0", "1", "10"), DIGITS, "10"),
        (("01", "02", "00"), ("1", "2", "3"), "01"),
        (("CARDIGAN",), IMAGENET, "CARDIGAN"),
        (("n01440764",), CIFAR10, "n01440764"),
        (("n01440764", "goldfish"), IMAGENET, "n01440764"),
        (("10", "arm_roll"), GESTURES, "10"),
    ],
)
def test_what_does_not_match_is_refused(names: Sequence[str], classes: Sequence[str], unknown: str) -> None:
    with pytest.raises(sdt_ref.ImageError, match=f"class '{unknown}.* is unknown to the weights, which know"):
        match(names, classes, "class")


def test_a_refusal_shows_both_lists() -> None:
    with pytest.raises(sdt_ref.RecordingError) as caught:
        match(GERMAN, CIFAR10, "folder 'data': class folder", error=sdt_ref.RecordingError)
    assert str(caught.value) == (
        "folder 'data': class folder 'Auto' is unknown to the weights, which know 10 classes: airplane, automobile, bird, "
        "cat, deer, dog, frog, horse, ship, truck; found 10: Auto, Flugzeug, Frosch, Hirsch, Hund, Katze, "
        "Lastwagen, Pferd, Schiff, Vogel; expected names of those classes, or numbers 0 to 9, or 10 in label order with "
        "--classes-by-order"
    )
    with pytest.raises(
        sdt_ref.ImageError, match=r"1000 classes: (?:[^,]+, ){10}\.\.\.; found 11: (?:\w+, ){10}\.\.\.;"
    ):
        match((*GERMAN, "Zebra"), IMAGENET, "class")


def test_order_is_the_last_way_and_must_be_asked_for() -> None:
    found = match(GERMAN, CIFAR10, "class", by_order=True)
    assert (found.by, found.labels) == ("order", tuple(range(10)))
    assert match(("1", "2", "3"), ("a", "b", "c"), "class", by_order=True).labels == (0, 1, 2)  # 3 is no label
    assert match(("a", "two", "c"), ("a", "b", "c"), "class", by_order=True).labels == (0, 1, 2)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (GERMAN[:9], "9 were found"),
        ((*GERMAN, "Zebra"), "11 were found"),
        (("bird", "car", *CIFAR10[3:], "plane"), "'bird' would be 'airplane'"),
        (("Bird", "car", *CIFAR10[3:], "plane"), "'Bird' would be 'airplane'"),
    ],
)
def test_an_order_that_does_not_fit_is_refused(names: Sequence[str], reason: str) -> None:
    with pytest.raises(sdt_ref.ImageError, match=f"in label order with --classes-by-order, where {reason}$"):
        match(names, CIFAR10, "class", by_order=True)


def test_labels_without_names_are_numbers_of_classes_or_labels() -> None:
    assert by_label([3, 4], CIFAR10) == {k: k for k in range(10)}
    assert by_label([2, 10], SPLIT_BY_TEXT)[10] == 2
    assert by_label([0, 1, 2], ("1", "2", "3")) == {0: 0, 1: 1, 2: 2}  # 0 names no class, so none of them does
    assert by_label([10], GESTURES)[10] == 10


def test_two_classes_of_one_name_keep_their_places() -> None:
    """'crane' is a bird and a machine in the usual list of ImageNet's classes."""
    assert match(("crane", "tench", "crane"), ("crane", "tench", "crane"), "class").labels == (0, 1, 2)


NAMES = st.lists(st.text(st.sampled_from("aA_ -019"), min_size=1, max_size=3), min_size=1, max_size=5, unique=True)


@given(NAMES, NAMES, st.booleans())
@example(["0", "1", "_"], ["_", "-", "00"], True)  # of two that are alike the one that is the same counts
def test_a_label_is_a_class_and_no_class_has_two_names(names: list[str], classes: list[str], by_order: bool) -> None:
    """Names that are known have their own label, whatever else is in the list."""
    try:
        found = match(names, classes, "class", by_order=by_order)
    except sdt_ref.ImageError:
        assert not set(names) <= set(classes)
        return
    assert len(set(found.labels)) == len(names)
    for name, label in zip(names, found.labels, strict=True):
        assert 0 <= label < len(classes)
        if name in classes:
            assert classes[label] == name
