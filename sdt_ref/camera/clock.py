"""A clock of few bits runs over and begins again at 0; here its times go on."""

import numpy as np


class Clock:
    """The laps of a clock of some bits, from one chunk of times to the next.

    A time more than half a lap below the one before it is of the next lap; one more than half a lap above it belongs to
    the lap before, since late events may straddle the turn. Smaller steps backwards stay as they are stored.
    """

    def __init__(self, bits: int) -> None:
        self._lap = 1 << bits
        self._before: int | None = None
        self._laps = 0

    def unwrap(self, t: np.ndarray) -> tuple[np.ndarray, int]:
        """Add the laps: int64[n], microseconds below 2^bits -> int64[n], and how often the clock ran over; n > 0."""
        step = np.diff(t, prepend=t[0] if self._before is None else self._before)
        self._before = int(t[-1])
        over, under = step < -(self._lap // 2), step > self._lap // 2
        if not over.any() and not (self._laps and under.any()):
            return t + self._laps * self._lap if self._laps else t, 0
        laps = self._laps + np.cumsum(over.astype(np.int64) - under)
        laps -= np.minimum(np.minimum.accumulate(laps), 0)  # no lap is before the first
        self._laps = int(laps[-1])
        return t + laps * self._lap, int(np.count_nonzero(over))
