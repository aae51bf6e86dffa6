"""Class names of a data set become labels of the weights: by name, by number, or by order where that is asked for.

A wrong guess is a low accuracy without a reason: what does not match is refused.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ImageError, SdtError, one_line, shown
from ..weights.presets import published_folders

LISTED = 10  # names of each list that an error shows
LONGEST_NAME = 40  # characters of each
MOST_DIGITS = 18  # of a number in a name


@dataclass(frozen=True)
class Matched:
    """Which label each class name of a data set is taken for.

    Attributes
    ----------
    by : 'name', 'synset', 'number', 'number of DVS128 Gesture', 'official order' or 'order'
    names, labels : of folders, or in a pack, and the label of each
    """

    by: str
    names: tuple[str, ...]
    labels: tuple[int, ...]


def match(
    names: Sequence[str],
    classes: Sequence[str],
    what: str,
    *,
    by_order: bool = False,
    error: type[SdtError] = ImageError,
) -> Matched:
    """Find the label of each class name of a data set, all in the same way.

    The first way that holds: names of classes; ImageNet's synsets; names but for case, '_' and '-'; numbers of classes
    that are named so, or that DVS128 Gesture has in folders of these numbers, or with these labels; with `by_order`, as
    many names as classes.

    Parameters
    ----------
    names : of folders in natural order, or of a pack in the order of its labels; at least one
    classes : class names of the weights, in label order
    what : what a name is, for the error

    Raises `error`, which shows both lists, when none holds.
    """
    found = _by_name(names, classes) or by_number(names, classes) or _by_place(names, classes)
    against = _against_order(names, classes) if by_order else ""
    if found is None and by_order and not against:
        found = Matched("order", tuple(names), tuple(range(len(names))))
    if found is None:
        n = len(classes)
        raise error(
            f"{what} {shown(_unknown(names, classes))} is unknown to the weights, which know {n} classes: "
            f"{_few(classes)}; found {len(names)}: {_few(names)}; expected names of those classes, or numbers 0 to "
            f"{n - 1}, or {n} in label order with --classes-by-order{against}"
        )
    return found


def by_number(names: Sequence[str], classes: Sequence[str]) -> Matched | None:
    """Match numbers of classes: of those that are named so, or that are in a folder of DVS128 Gesture so named."""
    known, numbers = _labels(classes), _numbers(names)
    gestures = {int(folder): known[name] for folder, name in published_folders("gesture").items() if name in known}
    return _look_up("number", names, numbers, _numbered(classes)) or _look_up(
        "number of DVS128 Gesture", names, numbers, gestures
    )


def by_label(found: Sequence[int], classes: Sequence[str]) -> dict[int, int]:
    """Label by number, for labels without names: of the classes that the numbers name, if all do, else the label."""
    named = _numbered(classes)
    return named if named.keys() >= set(found) else {label: label for label in range(len(classes))}


def _by_name(names: Sequence[str], classes: Sequence[str]) -> Matched | None:
    if tuple(names) == tuple(classes):  # even where two classes have one name
        return Matched("name", tuple(names), tuple(range(len(names))))
    known = _labels(classes)
    synsets = {synset: known[name] for synset, name in published_folders("imagenet").items() if name in known}
    return (
        _look_up("name", names, names, known)
        or _look_up("synset", names, names, synsets)
        or _look_up("name", names, list(map(_plain, names)), _similar(classes))
    )


def _by_place(names: Sequence[str], classes: Sequence[str]) -> Matched | None:
    """Numbers are labels, unless some of them are names: then '1' may be a class, or the second label."""
    numbers = _numbers(names)
    if _numbered(classes).keys() & set(numbers):
        return None
    return _look_up("number", names, numbers, {label: label for label in range(len(classes))})


def _look_up(by: str, names: Sequence[str], keys: Sequence[Any], table: Mapping[Any, int]) -> Matched | None:
    """Match names by their keys in a table; None where it lacks one, or two names have the same."""
    if not table.keys() >= set(keys) or len(set(keys)) < len(set(names)):
        return None
    return Matched(by, tuple(names), tuple(table[key] for key in keys))


def _against_order(names: Sequence[str], classes: Sequence[str]) -> str:
    """What speaks against taking the names in label order; nothing, if they are as many and the known ones in place."""
    if len(names) != len(classes):
        return f", where {len(names)} were found"
    table = _similar(classes)

    def is_moved(place: int, name: str) -> bool:
        return name != classes[place] and (name in classes or table.get(_plain(name), place) != place)

    moved = (place for place, name in enumerate(names) if is_moved(place, name))
    return next((f", where {shown(names[place])} would be {shown(classes[place])}" for place in moved), "")


def _unknown(names: Sequence[str], classes: Sequence[str]) -> str:
    """The first name that is none of the weights' in any way, or, where each is in some way, in a way of its own."""
    table = _similar(classes)
    strange = (n for n in names if _plain(n) not in table and not (_is_number(n) and int(n) < len(classes)))
    return next(strange, next((name for name in names if name not in classes), names[0]))


def _labels(classes: Sequence[str]) -> dict[str, int]:
    return {name: label for label, name in enumerate(classes)}


def _similar(classes: Sequence[str]) -> dict[str, int]:
    """Label by plain name, of those that are alone with it: ImageNet has 'cardigan' and 'Cardigan'."""
    alike = Counter(map(_plain, classes))
    return {_plain(name): label for label, name in enumerate(classes) if alike[_plain(name)] == 1}


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold()).replace("_", " ").replace("-", " ")


def _numbered(classes: Sequence[str]) -> dict[int, int]:
    return {int(name): label for label, name in enumerate(classes) if _is_number(name)}


def _numbers(names: Sequence[str]) -> list[int]:
    """The names as numbers; nothing, unless all are."""
    return list(map(int, names)) if all(map(_is_number, names)) else []


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) <= MOST_DIGITS


def _few(names: Sequence[str]) -> str:
    return ", ".join(one_line(name, LONGEST_NAME) for name in names[:LISTED]) + (", ..." if len(names) > LISTED else "")
