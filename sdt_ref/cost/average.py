"""Many pictures: whole numbers added up, the mean account, and how far the pictures spread."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..jobs.job import Part
from ..weights.wiring import Stage
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
    """The mean of accounts, of which the sums come chunk by chunk, in the order of the data.

    Sums are whole numbers, and a spread takes its numbers one by one: the size of the chunks changes no bit.

    Attributes
    ----------
    stages : of the network, see `wiring`
    pictures : how many
    spreads : by name, of the numbers that come with each picture
    unreadable : (name, reason) of those that could not be read
    repairs : what was mended in recordings, and how often
    """

    stages: Mapping[str, Stage]
    pictures: int = 0
    spreads: dict[str, Spread] = field(default_factory=dict)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    repairs: Counter[str] = field(default_factory=Counter)
    _sums: dict[Cell, np.ndarray] = field(default_factory=dict)
    _exits: dict[str, np.ndarray] = field(default_factory=dict)
    _bits: dict[Cell, int] = field(default_factory=dict)

    def add(self, part: Part) -> None:
        """Take a chunk, see `chunk.Stocktaker.count` and `chunk.TakeStock`."""
        notes, arrays = part.notes, part.arrays
        self.pictures += len(arrays["numbers"])
        for (stage, kind), values in zip(notes["cells"], arrays["cells"], strict=True):
            self._sums[stage, kind] = self._sums.get((stage, kind), 0) + values
        for stage, values in zip(notes["exits"], arrays["exits"], strict=True):
            self._exits[stage] = self._exits.get(stage, 0) + values
        for name, values in zip(notes["names"], arrays["numbers"].T, strict=True):
            spread = self.spreads.setdefault(name, Spread())
            for value in values.tolist():
                spread.add(value)
        self._bits.update({(stage, kind): bits for stage, kind, bits in notes["bits"]})
        self.unreadable += [(name, reason) for name, reason in notes.get("unreadable", ())]
        self.repairs.update(notes.get("repairs", ()))

    @property
    def account(self) -> Account:
        """The mean account; there must be one picture at least."""
        assert self.pictures
        cells = {cell: values / self.pictures for cell, values in self._sums.items()}
        exits = {stage: EarlyExit(*(values / self.pictures)) for stage, values in self._exits.items()}
        return Account(self.stages, cells, exits, self._bits)
