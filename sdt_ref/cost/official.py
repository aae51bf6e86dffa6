"""The firing rates that the official firing_num.py prints, its divisor included: to compare with published logs.

It adds up the mean rate of each batch and divides by the number of batches less one, so that every rate is too large by
L / (L - 1), and may exceed 1. Its table has exactly four time steps. `firing_rate` and `non_zero` are the same numbers,
taken once as a mean and once as a count: they differ in the last bits of float32 only, and here not at all.
"""

import numpy as np

from ..errors import InputError
from ..jobs.job import Part
from ..result import Spikes

TIME_STEPS = 4


class OfficialStatistic:
    """Adds up batches as firing_num.py does.

    Parameters
    ----------
    batch : its batch size; a short last one weighs as much as the others
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._pictures = 0
        self._sums: dict[str, np.ndarray] = {}  # of the rates of full batches
        self._open: dict[str, np.ndarray] = {}  # spikes of a batch that is not full, int64[T]
        self._neurons: dict[str, int] = {}  # of one picture

    def add(self, part: Part) -> None:
        """Take the pictures of a chunk, see `chunk.Stocktaker.count`."""
        for events in part.arrays["hooked"]:
            for (hook, neurons), per_step in zip(part.notes["hooks"], events, strict=True):
                self._open[hook] = self._open.get(hook, 0) + per_step
                self._neurons[hook] = neurons
            self._pictures += 1
            if self._pictures % self._batch == 0:
                self._sums, self._open = self._added_up(self._batch), {}

    @property
    def batches(self) -> int:
        """How many, a short last one included."""
        return -(-self._pictures // self._batch)

    @property
    def factor(self) -> float:
        """How many times the true rates the official ones are, were all batches full: L / (L - 1), L at least 2."""
        return self.batches / (self.batches - 1)

    def rates(self) -> dict[str, np.ndarray]:
        """The official rates by hook, float64[T].

        Raises InputError for fewer than two batches, where the official script divides by zero.
        """
        if self.batches < 2:
            raise InputError(
                f"--official-statistic: expected two batches at least, found {self.batches}: firing_num.py divides by "
                "their number less one; give more pictures or a smaller --batch"
            )
        left = self._pictures % self._batch
        sums = self._added_up(left) if left else self._sums
        return {hook: total / (self.batches - 1) for hook, total in sums.items()}

    def table(self) -> dict[str, dict[str, dict[str, float]]]:
        """The official dictionary: {'non_zero': {'t0': {hook: rate}, ..., 't3': ...}, 'firing_rate': the same}.

        Raises InputError as `rates` does.
        """
        rates = self.rates()
        table = {f"t{t}": {hook: float(each[t]) for hook, each in rates.items()} for t in range(TIME_STEPS)}
        return {"non_zero": table, "firing_rate": table}

    def _added_up(self, pictures: int) -> dict[str, np.ndarray]:
        """The sums with the rates of the batch that is not full, which has so many pictures."""
        rates = {hook: events / (pictures * self._neurons[hook]) for hook, events in self._open.items()}
        return {hook: self._sums.get(hook, 0) + rate for hook, rate in rates.items()}


def events_per_step(events: Spikes) -> np.ndarray:
    """Spikes of one picture at each time step, int64[T].

    Raises InputError unless there are four: the official table has no room for others.
    """
    T = events.shape[0]
    if T != TIME_STEPS:
        raise InputError(
            f"--official-statistic: expected {TIME_STEPS} time steps, found {T}; firing_num.py has columns t0 to t3: "
            "with more steps it stops at a KeyError, with fewer it prints an empty table"
        )
    per_step = getattr(events, "events_per_step", None)
    counts = per_step() if per_step is not None else events.to_dense().sum(axis=tuple(range(1, len(events.shape))))
    return np.asarray(counts, np.int64)
