"""Files that spell t, x, y and p of every event as numbers, whatever else they are: arrays, fields, lines of text.

Such a file does not say all of what its numbers mean. So it is read once before: what it calls OFF and ON, the unit of
its times and, where no names say so, the order of its columns are told by all of its events, or it is refused.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from ..errors import RecordingError
from .checking import LARGEST, event_file
from .polarity import LISTED, Polarities, add_distinct, name_polarities
from .recording import TAKEN, CameraEvents, EventFile
from .source import Source
from .times import IN_WORDS, PER_UNIT, microseconds, unit_of_floats

Columns = list[np.ndarray]  # booleans, integers or float64, all of one length
LIMIT = 2.0**63  # of numbers that are read
ORDER = "txyp"
USUAL = -1, 255  # least and greatest of polarities, as far as programs are known to write them
OTHER_ORDERS = "xytp", "xypt"  # tonic's and Prophesee's; what has neither names nor the usual order is tried as these


def open_columns(
    source: Source,
    format: str,
    read: Callable[[Counter[str]], Iterator[Columns]],
    *,
    sensor: tuple[int, int] | None = None,
    named: bool = True,
    unit: str | None = None,
    whole_unit: str | None = None,
) -> EventFile:
    """Make a recording of columns.

    Parameters
    ----------
    read : takes the counts of repairs, opens the file and yields its columns, a chunk at a time: t, x, y and p, or
        four unnamed ones
    named : the columns are t, x, y and p; else their order is found
    unit : of the times, as their name says
    whole_unit : of times that are floats without fractions, as the format says

    Notes
    -----
    What the recording's `read` raises: more than two polarities, or one alone that is neither 0 nor 1; pixels that are
    not whole; times that are no numbers, or of an unclear unit; columns of an unclear order.
    """

    @cache
    def meaning() -> _Meaning:
        columns = [_Column() for _ in ORDER]
        for chunk in read(Counter()):
            for column, values in zip(columns, chunk, strict=True):
                column.add(values)
        try:
            order, clear = (ORDER, True) if named else _order(columns)
            t, x, y, p = (columns[order.index(name)] for name in ORDER)
            for name, column in (("x", x), ("y", y)):
                column.require_whole(name)
            found = _unit(t, unit, whole_unit)
        except RecordingError as error:
            raise RecordingError(f"recording '{source.name}': {error}") from None
        return _Meaning(order, clear, found, name_polarities(p.values, source.name))

    def decode(repairs: Counter[str]) -> Iterator[CameraEvents]:
        meant = meaning()
        for chunk in read(repairs):
            yield meant.events(chunk, repairs)

    return event_file(source, format, sensor, decode)


@dataclass(frozen=True)
class _Meaning:
    """Order of the columns and whether it is the usual one and no other can be, unit of the times, polarities."""

    order: str
    clear: bool
    unit: str
    polarities: Polarities

    def events(self, columns: Columns, repairs: Counter[str]) -> CameraEvents:
        t, x, y, p = (columns[self.order.index(name)] for name in ORDER)
        if not self.clear:
            repairs[f"columns{TAKEN}{', '.join(self.order)}"] += len(t)
        if self.unit != "us":
            repairs[f"times{TAKEN}{IN_WORDS[self.unit]}"] += len(t)
        x, y = x.astype(np.int64, copy=False), y.astype(np.int64, copy=False)
        return CameraEvents(microseconds(t, self.unit), x, y, self.polarities.decode(p, repairs))


@dataclass
class _Column:
    """What is known of all numbers of one column.

    Attributes
    ----------
    n : how many there are
    least, greatest : NaN where one of them is
    integers : all are of an integer type
    odd : one that is not a whole number below 2^63, if any
    backwards : how many are smaller than the one before
    values : the distinct ones, as far as `polarity.add_distinct` goes
    """

    n: int = 0
    least: float = math.inf
    greatest: float = -math.inf
    integers: bool = True
    odd: float | None = None
    backwards: int = 0
    values: list[float] = field(default_factory=list)
    last: float = -math.inf

    def add(self, values: np.ndarray) -> None:
        if not len(values):
            return
        if values.dtype.kind == "f":
            self.integers = False
            if self.odd is None:
                odd = values[~((np.abs(values) < LIMIT) & (np.trunc(values) == values))]
                self.odd = float(odd[0]) if len(odd) else None
        elif values.max() >= LIMIT:
            self.odd = float(values.max())
        self.least = float(np.minimum(self.least, values.min()))
        self.greatest = float(np.maximum(self.greatest, values.max()))
        self.backwards += int(np.count_nonzero(values[1:] < values[:-1])) + bool(values[0] < self.last)
        self.last = values[-1].item()
        self.n += len(values)
        add_distinct(self.values, values)

    def require_whole(self, name: str) -> None:
        if self.odd is not None:
            raise RecordingError(f"expected whole numbers below 2^63 in column {name}, found {self.odd}")


def _unit(t: _Column, named: str | None, whole: str | None) -> str:
    """The unit of the times; refuses what is no time in it."""
    if not t.n:
        return named or "us"
    if not max(-t.least, t.greatest) < LIMIT:  # NaN, too
        raise RecordingError(f"expected numbers below 2^63 in column t, found {t.least:.15g} to {t.greatest:.15g}")
    if named is None and not t.integers:
        named = whole if whole and t.odd is None else unit_of_floats(t.least, t.greatest, t.odd is None)
    unit = named or "us"
    if max(-t.least, t.greatest) * PER_UNIT[unit][0] >= LIMIT:
        raise RecordingError(f"expected times below 2^63 us in column t, found {t.greatest:.15g} {unit}")
    return unit


def _order(columns: list[_Column]) -> tuple[str, bool]:
    """The order of columns without names: the usual one where it can be, else the only other one that can.

    And whether it goes without saying: it is the usual one, and no other can be, as the columns of few events may.
    """
    fitting = [order for order in (ORDER, *OTHER_ORDERS) if _misfit(order, columns) is None]
    likely = [order for order in fitting if _usual(columns[order.index("p")])] or fitting
    if ORDER in likely or len(likely) == 1:
        return likely[0], fitting == [ORDER]
    found = _misfit(ORDER, columns)
    raise RecordingError(
        f"expected columns t, x, y, p, found {found} in that order{', and no other that alone fits' * bool(fitting)}; "
        "name the columns, or put them in that order"
    )


def _usual(p: _Column) -> bool:
    """Tell whether polarities are called as usual, and not by two numbers that may be the times of two events."""
    least, greatest = USUAL
    return least <= p.least and p.greatest <= greatest


def _misfit(order: str, columns: list[_Column]) -> str | None:
    """What cannot be if the columns are in an order, in words.

    Nine in ten times are not below the one before, as `nmnist.looks_like_nmnist` has it.
    """
    t, x, y, p = (columns[order.index(name)] for name in ORDER)
    if 10 * t.backwards > t.n:
        return f"times that run backwards in {t.backwards} of {t.n} rows"
    for name, column in (("x", x), ("y", y)):
        if column.odd is not None:
            return f"{column.odd} as {name}"
        if not (column.least >= 0 and column.greatest < LARGEST):
            return f"{name} from {column.least:.15g} to {column.greatest:.15g}"
    if len(p.values) > 2:
        return f"polarities {', '.join(f'{value:.15g}' for value in sorted(p.values)[:LISTED])}"
    return None
