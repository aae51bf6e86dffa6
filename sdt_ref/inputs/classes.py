"""Class names of a data set become labels of the weights: by name, by number, or by order where that is asked for.

A wrong guess is a low accuracy without a reason: what does not match is refused.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ImageError, SdtError
from ..weights.presets import published_folders

PUBLISHED = {"imagenet": "synset", "gesture": "number of DVS128 Gesture"}  # their folders are not named as the classes
LISTED = 10  # names of each list that an error shows
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

    The first way that holds: names of classes, or what ImageNet and DVS128 Gesture call them; the same but for case,
    '_' and '-'; numbers, of classes that are named so, else of labels; with `by_order`, as many names as classes.

    Parameters
    ----------
    names : of folders in natural order, or of a pack in the order of its labels; at least one
    classes : class names of the weights, in label order
    what : what a name is, for the error

    Raises `error`, which shows both lists, when none holds.
    """
    found = by_name(names, classes) or _by_similar_name(names, classes) or _by_number(names, classes)
    against = _against_order(names, classes) if by_order else ""
    if found is None and by_order and not against:
        found = Matched("order", tuple(names), tuple(range(len(names))))
    if found is None:
        n = len(classes)
        raise error(
            f"{what} '{_unknown(names, classes)}' is unknown to the weights, which know {n} classes: {_few(classes)}; "
            f"found {len(names)}: {_few(names)}; expected names of those classes, or numbers 0 to {n - 1}, or {n} in "
            f"label order with --classes-by-order{against}"
        )
    return found


def by_name(names: Sequence[str], classes: Sequence[str]) -> Matched | None:
    """Match names of classes, or what their data set calls them."""
    if tuple(names) == tuple(classes):  # even where two classes have one name
        return Matched("name", tuple(names), tuple(range(len(names))))
    known = {name: label for label, name in enumerate(classes)}
    tables = {"name": known}
    for dataset, by in PUBLISHED.items():
        folders = published_folders(dataset).items()
        tables[by] = {folder: known[name] for folder, name in folders if name in known}
    return next((_look_up(names, names, table, by) for by, table in tables.items() if set(names) <= table.keys()), None)


def by_label(found: Sequence[int], classes: Sequence[str]) -> dict[int, int]:
    """Label by number, for labels without names: of the classes that the numbers name, if all do, else the label."""
    named = _numbered(classes)
    return named if named.keys() >= set(found) else {label: label for label in range(len(classes))}


def _by_similar_name(names: Sequence[str], classes: Sequence[str]) -> Matched | None:
    table, keys = _similar(classes), list(map(_plain, names))
    if not set(keys) <= table.keys() or len(set(keys)) < len(keys):
        return None
    return _look_up(names, keys, table, "name")


def _by_number(names: Sequence[str], classes: Sequence[str]) -> Matched | None:
    if not all(map(_is_number, names)):
        return None
    numbers, named = list(map(int, names)), _numbered(classes)
    table = named if named.keys() & set(numbers) else {label: label for label in range(len(classes))}
    if not set(numbers) <= table.keys() or len(set(numbers)) < len(numbers):
        return None
    return _look_up(names, numbers, table, "number")


def _look_up(names: Sequence[str], keys: Sequence[Any], table: Mapping[Any, int], by: str) -> Matched:
    return Matched(by, tuple(names), tuple(table[key] for key in keys))


def _against_order(names: Sequence[str], classes: Sequence[str]) -> str:
    """What speaks against taking the names in label order; nothing, if they are as many and the known ones in place."""
    if len(names) != len(classes):
        return f", where {len(names)} were found"
    table = _similar(classes)
    moved = (place for place, name in enumerate(names) if table.get(_plain(name), place) != place)
    return next((f", where '{names[place]}' would be '{classes[place]}'" for place in moved), "")


def _unknown(names: Sequence[str], classes: Sequence[str]) -> str:
    """The first name that is none of the weights' in any way, or, where each is in some way, in a way of its own."""
    table = _similar(classes)
    strange = (n for n in names if _plain(n) not in table and not (_is_number(n) and int(n) < len(classes)))
    return next(strange, next((name for name in names if name not in classes), names[0]))


def _similar(classes: Sequence[str]) -> dict[str, int]:
    """Label by plain name, of those that are alone with it: ImageNet has 'cardigan' and 'Cardigan'."""
    alike = Counter(map(_plain, classes))
    return {_plain(name): label for label, name in enumerate(classes) if alike[_plain(name)] == 1}


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold()).replace("_", " ").replace("-", " ")


def _numbered(classes: Sequence[str]) -> dict[int, int]:
    return {int(name): label for label, name in enumerate(classes) if _is_number(name)}


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) <= MOST_DIGITS


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
