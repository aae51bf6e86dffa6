"""Operations that are entered during a run, and added up when somebody looks: meanwhile they cost next to nothing."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

import numpy as np

from .result import OperationCount

Value = TypeVar("Value")
Operations = Mapping[str, np.ndarray | int]  # fields of OperationCount; a number is the same at every time step
Entry = tuple[tuple[str, ...], Callable[[], Operations]]  # under which names, and what


class Tally:
    """What one run has done.

    Parameters
    ----------
    time_steps : T
    """

    def __init__(self, time_steps: int) -> None:
        self._time_steps = time_steps
        self._layers: list[Entry] = []
        self._others: list[Entry] = []

    def layer(self, name: str, operations: Callable[[], Operations]) -> None:
        """Enter operations of a weight layer; the function is called when somebody looks, and should hold little."""
        self._layers.append(((name,), operations))

    def other(self, kind: str, stage: str, operations: Callable[[], Operations]) -> None:
        """Enter operations outside the weight layers; kinds and stages as in Result."""
        self._others.append(((kind, stage), operations))

    def take(self, tally: "Tally") -> None:
        """Enter all that another one holds."""
        self._layers += tally._layers
        self._others += tally._others

    @property
    def counts(self) -> "Later[OperationCount]":
        """By weight layer; see Result."""
        return Later(partial(_by_layer, self._layers, self._time_steps))

    @property
    def stage_counts(self) -> "Later[Mapping[str, OperationCount]]":
        """By kind and stage; see Result."""
        return Later(partial(_by_kind, self._others, self._time_steps))


class Later(Mapping[str, Value]):
    """A table that is made when somebody looks into it for the first time."""

    def __init__(self, make: Callable[[], Mapping[str, Value]]) -> None:
        self._make: Callable[[], Mapping[str, Value]] | None = make
        self._made: Mapping[str, Value] = {}
        self._lock = threading.Lock()  # of several threads that look first, one makes it

    @property
    def _table(self) -> Mapping[str, Value]:
        with self._lock:
            if self._make is not None:
                self._made, self._make = self._make(), None  # what it was made from is let go
        return self._made

    def __getitem__(self, name: str) -> Value:
        return self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __repr__(self) -> str:
        """As a dict."""
        return repr(self._table)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copied and pickled as a dict."""
        return dict, (dict(self._table),)


def _by_layer(entries: Iterable[Entry], time_steps: int) -> dict[str, OperationCount]:
    return {name: count for (name,), count in _added_up(entries, time_steps).items()}


def _by_kind(entries: Iterable[Entry], time_steps: int) -> dict[str, Mapping[str, OperationCount]]:
    kinds: dict[str, dict[str, OperationCount]] = {}
    for (kind, stage), count in _added_up(entries, time_steps).items():
        kinds.setdefault(kind, {})[stage] = count
    return {**kinds}


def _added_up(entries: Iterable[Entry], time_steps: int) -> dict[tuple[str, ...], OperationCount]:
    table: dict[tuple[str, ...], OperationCount] = {}
    for names, operations in entries:
        if names not in table:
            table[names] = OperationCount.none(time_steps)
        for field, value in operations().items():
            getattr(table[names], field)[:] += value
    return table
