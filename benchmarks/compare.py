"""Engines beside the event engine: whether they find the same spikes, and how long they take."""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.weights.file import Weights

from .engines import OURS, Engine, MissingLibraryError, make

ALLOWED = 1e-3  # of all spikes may differ: none does on the calibrated networks, some on trained ones


@dataclass(frozen=True)
class Row:
    """One engine, compared.

    Attributes
    ----------
    name, kind : see Engine
    different, compared : values of all hooks that differ from the event engine's, and how many were compared: none
        where the engine shows no spikes
    labels : share of the images that get the event engine's label
    seconds : of the timed runs; empty for an engine that computes another network
    ours : of the event engine's runs, one before each of these
    """

    name: str
    kind: str
    different: int
    compared: int
    labels: float
    seconds: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether the engine computes the same network, as far as it shows."""
        return self.different <= ALLOWED * self.compared

    @property
    def ratio(self) -> float:
        """How many times faster the event engine is: the median over the pairs of runs."""
        return statistics.median(theirs / ours for theirs, ours in zip(self.seconds, self.ours, strict=True))


def compare(weights: Weights, x: np.ndarray, engines: Iterable[str], threads: int, runs: int,
            say: Callable[[str], None] = print) -> list[Row]:  # fmt: skip
    """Check engines by name and time each in turn with the event engine, whose row comes first.

    So only the event engine and one other are in memory at a time, and what slows the machine for a while slows both.
    An engine whose library is missing gets no row.

    Parameters
    ----------
    x : images [B, 3, H, W]
    runs : timed runs of each engine; the event engine's row has as many for each of the others
    say : gets a line per engine
    """
    ours = make(OURS, weights, x, threads)
    labels = ours.logits(x).argmax(axis=1)
    first = Row(OURS, ours.kind, 0, 0, 1.0)
    rows = [first]
    for name in engines:
        if name == OURS:
            continue
        try:
            engine = make(name, weights, x, threads)
        except MissingLibraryError as missing:
            say(f"skipped: {missing}")
            continue
        # spikes first: a second model makes them, and the first has no memory for currents before it runs
        different, compared = differing_spikes(engine, weights, x, threads)
        agreement = float((engine.logits(x).argmax(axis=1) == labels).mean())
        row = Row(name, engine.kind, different, compared, agreement)
        found = f"{row.different:,} of {row.compared:,} spikes differ" if row.compared else "shows no spikes"
        say(f"{name}: {found}, {agreement:.0%} of the labels agree{'' if row.same else '; another network: no times'}")
        if row.same:
            time_in_turn(ours, engine, x, runs, row)
        first.seconds.extend(row.ours)
        rows.append(row)
    if not first.seconds:
        time_in_turn(ours, ours, x, runs, first)
    first.ours[:] = first.seconds
    return rows


def differing_spikes(engine: Engine, weights: Weights, x: np.ndarray, threads: int) -> tuple[int, int]:
    """Count the values of all hooks that differ from the event engine's, and how many there are."""
    if engine.spikes is None:
        return 0, 0
    recorded = SpikeDrivenTransformer(weights, threads=threads)(x, record=True).spikes.values()
    found = engine.spikes(x)
    different = sum(int((a.to_dense() != b).sum()) for a, b in zip(recorded, found, strict=True))
    return different, sum(array.size for array in found)


def time_in_turn(ours: Engine, engine: Engine, x: np.ndarray, runs: int, row: Row) -> None:
    """Run both engines alternately, once unseen and then timed."""
    for run in range(runs + 1):
        for one, times in ((ours, row.ours), (engine, row.seconds)):
            start = time.perf_counter()
            one.logits(x)
            if run:
                times.append(time.perf_counter() - start)
