"""Operations that are entered during a run, and added up when they are read: until then they cost next to nothing."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ..result import ByName, OperationCount, known_as

Value = TypeVar("Value")
Operations = Mapping[str, np.ndarray | int]  # fields of OperationCount; a number is the same at every time step
Named = tuple[tuple[str, ...], Operations]  # of a weight layer (name,), of anything else (kind, stage); and what
Rule = Callable[..., Iterable[Named]]  # rule(T, *facts): what these facts of a run amount to
Entry = tuple[Rule, tuple[Any, ...]]


class OperationCounter:
    """What one run has done.

    Parameters
    ----------
    time_steps : T
    """

    def __init__(self, time_steps: int) -> None:
        self._time_steps = time_steps
        self._entries: list[Entry] = []

    def add(self, rule: Rule, *facts: Any) -> None:
        """Enter the facts of one stage; the rule is applied when the counts are read; rule and facts should be small.

        Kinds and stages as in Result.
        """
        self._entries.append((rule, facts))

    def merge(self, other: "OperationCounter") -> None:
        """Enter all that another one holds."""
        self._entries += other._entries

    def counts(self, aliases: Mapping[str, str] | None = None) -> "Later[OperationCount]":
        """By weight layer; see Result, and ByName for aliases."""
        return Later(partial(_by_layer, self._entries, self._time_steps), "counts", aliases)

    @property
    def stage_counts(self) -> "Later[Mapping[str, OperationCount]]":
        """By kind and stage; see Result."""
        return Later(partial(_by_kind, self._entries, self._time_steps), "stage_counts")


def as_given(time_steps: int, kind: str, stage: str, operations: Operations) -> Iterable[Named]:
    """Rule of operations that are known at once."""
    yield (kind, stage), operations


def one_each(time_steps: int, kind: str, stage: str, offsets: np.ndarray, fields: Sequence[str]) -> Iterable[Named]:
    """Rule of one operation for each event, in these fields; offsets : of the steps, int64[T + 1]."""
    yield (kind, stage), dict.fromkeys(fields, np.diff(offsets))


class Later(Mapping[str, Value]):
    """A table that is made when it is first read."""

    def __init__(
        self, make: Callable[[], Mapping[str, Value]], what: str, aliases: Mapping[str, str] | None = None
    ) -> None:
        self._what, self._aliases = what, aliases or {}
        self._make: Callable[[], Mapping[str, Value]] | None = make
        self._made: Mapping[str, Value] = {}
        self._lock = threading.Lock()  # of several threads that read it first, one makes it

    @property
    def _table(self) -> Mapping[str, Value]:
        with self._lock:
            if self._make is not None:
                self._made, self._make = self._make(), None  # what it was made from is let go
        return self._made

    def __getitem__(self, name: str) -> Value:
        table = self._table
        return table[name] if name in table else table[known_as(name, self._what, table, self._aliases)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __repr__(self) -> str:
        """As a dict."""
        return repr(self._table)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and pickled as a table that is made."""
        return ByName, (self._what, dict(self._table), self._aliases)


def _by_layer(entries: Iterable[Entry], time_steps: int) -> dict[str, OperationCount]:
    return {names[0]: count for names, count in _added_up(entries, time_steps).items() if len(names) == 1}


def _by_kind(entries: Iterable[Entry], time_steps: int) -> dict[str, Mapping[str, OperationCount]]:
    kinds: dict[str, dict[str, OperationCount]] = {}
    for names, count in _added_up(entries, time_steps).items():
        if len(names) == 2:
            kinds.setdefault(names[0], {})[names[1]] = count
    return {kind: ByName(f"stage_counts[{kind!r}]", stages) for kind, stages in kinds.items()}


def _added_up(entries: Iterable[Entry], time_steps: int) -> dict[tuple[str, ...], OperationCount]:
    table: dict[tuple[str, ...], OperationCount] = {}
    for rule, facts in entries:
        for names, operations in rule(time_steps, *facts):
            if names not in table:
                table[names] = OperationCount.none(time_steps)
            for field, value in operations.items():
                getattr(table[names], field)[:] += value
    return table


def first_steps(time_steps: int, values: np.ndarray | int, steps: int) -> np.ndarray:
    """Values of the first so many steps, and 0 at the others: an image that never changes is read at the first one."""
    padded = np.zeros(time_steps, np.int64)
    padded[:steps] = values
    return padded
