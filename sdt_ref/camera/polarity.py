"""A file that spells its polarities, as a number an event, names two: the smaller is OFF, the greater ON.

They are called 0 and 1, -1 and 1, 1 and 2, 0 and 255, False and True. Which two a file has, all of its events tell, not
the first chunk of them. A number alone means something only if it is 0 or 1. Anything else is refused.

The official code takes p != 0 as ON (spikingjelly 0.0.0.0.12), so that of -1 and 1, and of 1 and 2, every event is ON:
a silent fault, which is not followed here.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ..errors import RecordingError
from .recording import TAKEN

LISTED = 4  # values that a refusal shows


@dataclass(frozen=True)
class Polarities:
    """What a file calls its polarities.

    Attributes
    ----------
    on : the value that stands for ON; any other stands for OFF
    told : in words, what was taken for what; empty where they are 0 and 1, and where there are no events
    """

    on: float
    told: str = ""

    def decode(self, p: np.ndarray, repairs: Counter[str]) -> np.ndarray:
        """Polarities as the file has them -> uint8[n], 1 where ON; what was taken for what counts in `repairs`."""
        if self.told and len(p):
            repairs[self.told] += len(p)
        return (p == self.on).astype(np.uint8)


def add_distinct(found: list[float], p: np.ndarray) -> None:
    """Add to the values that were found those of a chunk that are new, a few more than two at most.

    p : booleans, integers or floats [n]
    """
    if len(found) <= 2:
        found += np.unique(p[~np.isin(p, found)]).tolist()[: LISTED + 1]


def name_polarities(found: list[float], name: str) -> Polarities:
    """Find what a file calls OFF and ON.

    Parameters
    ----------
    found : the distinct polarities of all events of the file, in any order
    name : of the recording, for messages

    Raises
    ------
    RecordingError
        more than two values, one alone that is neither 0 nor 1, or one that is not finite
    """
    found = sorted(found)
    named = [f"{value:.15g}" for value in found]
    if not np.isfinite(found).all() or len(found) > 2 or (len(found) == 1 and found[0] not in (0, 1)):
        listed = ", ".join(named[:LISTED]) + (", ..." if len(found) > LISTED else "")
        raise RecordingError(
            f"recording '{name}': expected two polarities, or 0 or 1 alone, found {listed}; write OFF as 0 and ON as 1"
        )
    if len(found) == 1:
        return Polarities(1, f"polarities that are all {named[0]}{TAKEN}{'ON' if found[0] else 'OFF'}")
    if found in ([], [0, 1]):
        return Polarities(1)
    return Polarities(found[1], f"polarities {named[0]} and {named[1]}{TAKEN}OFF and ON")
