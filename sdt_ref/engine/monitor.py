"""What a run records on its way, besides its result."""

import numpy as np

from ..errors import ConfigError, shown
from .events import SpikeEvents


class Monitor:
    """Keeps in memory what a run records, under official names; each dict is as in Result.

    Parameters
    ----------
    spikes : whether spikes are wanted
    numbers : whether input currents, streams and sums are wanted, too

    Attributes
    ----------
    in_turn : whether everything must arrive in the order of the data flow, from one thread
    """

    in_turn = False

    def __init__(self, spikes: bool = False, numbers: bool = False) -> None:
        self.wants_spikes = spikes
        self.wants_numbers = numbers
        self.spikes: dict[str, SpikeEvents] = {}
        self.currents: dict[str, np.ndarray] = {}
        self.streams: dict[str, np.ndarray] = {}
        self.sums: dict[str, np.ndarray] = {}

    @classmethod
    def of(cls, record: "bool | str | Monitor") -> "Monitor":
        """What a caller asks to be recorded: see SpikeDrivenTransformer.__call__."""
        if isinstance(record, Monitor):
            return record
        if isinstance(record, bool) or (isinstance(record, str) and record == "currents"):
            return Monitor(spikes=bool(record), numbers=record == "currents")
        raise ConfigError(f"record: expected True, False or 'currents', found {shown(record)}")

    def add_spikes(self, hook: str, events: SpikeEvents) -> None:
        """Take the events of an official hook."""
        self.spikes[hook] = events

    def add_neurons(self, module: str, currents: np.ndarray, sums: np.ndarray | None) -> None:
        """Take the input currents of a neuron layer and, in fixed point, the sums that entered its membranes."""
        self.currents[module] = currents
        if sums is not None:
            self.sums[module] = sums

    def add_stream(self, module: str, stream: np.ndarray, sums: np.ndarray | None) -> None:
        """Take the residual stream behind a weight layer and, in fixed point, the sums that entered it."""
        self.streams[module] = stream
        if sums is not None:
            self.sums[module] = sums
