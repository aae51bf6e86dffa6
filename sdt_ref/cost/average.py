"""Many pictures: the mean account, and how far the pictures spread."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from .account import Account, Cell, EarlyExit


@dataclass
class Spread:
    """Mean and standard deviation of numbers that come one by one (Welford's recurrence: no cancellation)."""

    n: int = 0
    mean: float = 0.0
    _squares: float = 0.0

    def add(self, value: float) -> None:
        """Take one number."""
        self.n += 1
        step = value - self.mean
        self.mean += step / self.n
        self._squares += step * (value - self.mean)

    @property
    def deviation(self) -> float:
        """Standard deviation of the sample, divided by n - 1; 0 of a single number."""
        return math.sqrt(self._squares / (self.n - 1)) if self.n > 1 else 0.0


@dataclass
class Average:
    """The mean of accounts that come one by one.

    Attributes
    ----------
    pictures : how many
    spreads : by name, of the numbers given with each account
    """

    pictures: int = 0
    spreads: dict[str, Spread] = field(default_factory=dict)
    _sums: dict[Cell, np.ndarray] = field(default_factory=dict)
    _exits: dict[str, list[np.ndarray]] = field(default_factory=dict)
    _last: Account | None = None

    def add(self, account: Account, numbers: Iterable[tuple[str, float]] = ()) -> None:
        """Take the account of one picture, and numbers whose spread is asked for."""
        self.pictures += 1
        self._last = account
        for cell, values in account.cells.items():
            self._sums[cell] = self._sums[cell] + values if cell in self._sums else values
        for stage, each in account.early_exit.items():
            parts = [each.comparisons, each.saved, each.additions]
            have = self._exits.get(stage)
            self._exits[stage] = parts if have is None else [a + b for a, b in zip(have, parts, strict=True)]
        for name, value in numbers:
            self.spreads.setdefault(name, Spread()).add(value)

    @property
    def account(self) -> Account:
        """The mean account; there must be one picture at least."""
        assert self._last is not None
        cells = {cell: values / self.pictures for cell, values in self._sums.items()}
        exits = {stage: EarlyExit(*(part / self.pictures for part in parts)) for stage, parts in self._exits.items()}
        return Account(self._last.stages, cells, exits, self._last.bits)
