"""The firing rates that the official firing_num.py prints, its divisor included: to compare with published logs.

It adds up the mean rate of each batch and divides by the number of batches less one, so that every rate is too large by
L / (L - 1), and may exceed 1. Its table has exactly four time steps. `firing_rate` and `non_zero` are the same numbers,
taken once as a mean and once as a count: they differ in the last bits of float32 only, and here not at all.
"""

from collections.abc import Mapping

import numpy as np

from ..errors import InputError
from ..result import Spikes

TIME_STEPS = 4


class OfficialStatistic:
    """Adds up batches as firing_num.py does."""

    def __init__(self) -> None:
        self.batches = 0
        self._sums: dict[str, np.ndarray] = {}

    def add(self, spikes: Mapping[str, Spikes]) -> None:
        """Take the recorded spikes of one batch; a short last one weighs as much as the others.

        Raises InputError unless the run had four time steps: the official table has no room for others.
        """
        for hook, events in spikes.items():
            T = events.shape[0]
            if T != TIME_STEPS:
                raise InputError(
                    f"--official-statistic: expected {TIME_STEPS} time steps, found {T}; firing_num.py has columns t0 "
                    "to t3: with more steps it stops at a KeyError, with fewer it prints an empty table"
                )
            rates = _rates(events)
            self._sums[hook] = self._sums[hook] + rates if hook in self._sums else rates
        self.batches += 1

    def table(self) -> dict[str, dict[str, dict[str, float]]]:
        """The official dictionary: {'non_zero': {'t0': {hook: rate}, ..., 't3': ...}, 'firing_rate': the same}.

        Raises InputError for fewer than two batches, where the official script divides by zero.
        """
        if self.batches < 2:
            raise InputError(
                f"--official-statistic: expected two batches at least, found {self.batches}: firing_num.py divides by "
                "their number less one; give more pictures or a smaller --batch"
            )
        rates = {
            f"t{t}": {hook: float(sums[t]) / (self.batches - 1) for hook, sums in self._sums.items()}
            for t in range(TIME_STEPS)
        }
        return {"non_zero": rates, "firing_rate": rates}


def _rates(events: Spikes) -> np.ndarray:
    """Spikes per neuron of a batch at each time step, float64[T]."""
    per_step = getattr(events, "events_per_step", None)
    counts = per_step() if per_step is not None else events.to_dense().sum(axis=tuple(range(1, len(events.shape))))
    return np.asarray(counts, np.float64) / np.prod(events.shape[1:])
