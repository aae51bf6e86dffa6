"""Two programs' predictions of the same images: how many agree, and whether one is right more often than the other."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ..errors import ConfigError, shown
from .results import Rows


class Differing(NamedTuple):
    """An image of which the two predict different labels."""

    name: str
    label: int
    ours: int
    theirs: int


@dataclass
class Agreement:
    """What was counted, of the images that both could read.

    Attributes
    ----------
    agreeing : images of one predicted label
    both_right, ours_right, theirs_right, both_wrong : images by which of the two is right; `ours_right` ours alone
    differing : images of two predicted labels, in the order of the data
    ours_unreadable, theirs_unreadable : images that could not be read, which are in none of the counts above; one that
        neither could read is in both
    """

    agreeing: int = 0
    both_right: int = 0
    ours_right: int = 0
    theirs_right: int = 0
    both_wrong: int = 0
    differing: list[Differing] = field(default_factory=list)
    ours_unreadable: int = 0
    theirs_unreadable: int = 0

    @property
    def images(self) -> int:
        """Those that both could read."""
        return self.both_right + self.ours_right + self.theirs_right + self.both_wrong

    @property
    def p_value(self) -> float:
        """How probable it is that two equally good programs differ at least so much; two-sided, exact.

        Of the images that one alone has right, each of two equally good programs has half. 1 where there are none.
        Source: McNemar, Note on the sampling error of the difference between correlated proportions, 1947.
        """
        from scipy.stats import binomtest

        discordant = self.ours_right + self.theirs_right
        return float(binomtest(self.ours_right, discordant).pvalue) if discordant else 1.0

    def add(self, ours: Rows, theirs: Rows) -> None:
        """Count some images, the same in both; of labels alone names and labels are not known."""
        ours_read, theirs_read = ours.predicted >= 0, theirs.predicted >= 0
        self.ours_unreadable += int((~ours_read).sum())
        self.theirs_unreadable += int((~theirs_read).sum())
        read = ours_read & theirs_read
        first, second = (read & (rows.predicted == ours.labels) for rows in (ours, theirs))
        self.both_right += int((first & second).sum())
        self.ours_right += int((first & ~second).sum())
        self.theirs_right += int((second & ~first).sum())
        self.both_wrong += int((read & ~first & ~second).sum())
        equal = ours.predicted == theirs.predicted
        self.agreeing += int((read & equal).sum())
        for at in np.flatnonzero(read & ~equal).tolist():
            labels = (int(values[at]) for values in (ours.labels, ours.predicted, theirs.predicted))
            self.differing.append(Differing(ours.names[at], *labels))

    def to_json(self) -> dict[str, object]:
        """Plain values; all images that differ."""
        return {
            "images": self.images,
            "agreeing": self.agreeing,
            "both_right": self.both_right,
            "ours_right": self.ours_right,
            "theirs_right": self.theirs_right,
            "both_wrong": self.both_wrong,
            "mcnemar_p": self.p_value,
            "ours_unreadable": self.ours_unreadable,
            "theirs_unreadable": self.theirs_unreadable,
            "differing": [image._asdict() for image in self.differing],
        }


def compare(ours: Iterator[Rows], theirs: Iterator[Rows], path: str) -> Agreement:
    """Compare all images, in step, however the two are chunked.

    Parameters
    ----------
    path : of the file of theirs, for messages

    Raises ConfigError where the images are not the same, in the same order and with the same labels.
    """
    agreement, first = Agreement(), 0
    for mine, its in _in_step(ours, theirs, path):
        _require_same(mine, its, first, path)
        agreement.add(mine, its)
        first += len(mine)
    return agreement


def _in_step(ours: Iterator[Rows], theirs: Iterator[Rows], path: str) -> Iterator[tuple[Rows, Rows]]:
    """The rows of both, as many of one as of the other."""
    mine, its = next(ours, None), next(theirs, None)
    while mine is not None and its is not None:
        n = min(len(mine), len(its))
        yield mine[:n], its[:n]
        mine, its = (rows[n:] if len(rows) > n else next(more, None) for rows, more in ((mine, ours), (its, theirs)))
    if mine is not None or its is not None:
        more = "fewer" if its is None else "more"
        raise ConfigError(f"results '{path}': expected the images of this run, found {more} of them")


def _require_same(ours: Rows, theirs: Rows, first: int, path: str) -> None:
    if not theirs.names:
        return
    for number, (mine, its) in enumerate(zip(ours.names, theirs.names, strict=True), first):
        if mine != its:
            raise ConfigError(
                f"results '{path}': image {number}: expected {shown(mine)}, as this run has, found {shown(its)}; "
                "compare results of the same data"
            )
    differ = np.flatnonzero(ours.labels != theirs.labels)
    if differ.size:
        at = int(differ[0])
        raise ConfigError(
            f"results '{path}': image {first + at}, {shown(ours.names[at])}: expected label {int(ours.labels[at])}, as "
            f"this run has, found {int(theirs.labels[at])}; compare results of the same data and classes"
        )
