"""One forward pass: its tiles, its operation counter, its monitor."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .counting import OperationCounter, as_given, one_each
from .events import SpikeEvents
from .monitor import Monitor
from .tiles import Tiles


class Run:
    """Carries one forward pass through the stages.

    Attributes
    ----------
    time_steps : T
    tiles : cuts the positions of a layer, and works on them in threads
    monitor : takes what is recorded
    all_reduce : all_reduce(act, *parts) adds each part over all threads that run the same stages on different tokens,
        lets one of them act on the sums, and returns to all what act returned; a thread that runs alone acts on its own
    counter : takes the operations
    overflows : see Result
    """

    def __init__(
        self,
        time_steps: int,
        threads: int,
        monitor: Monitor | None = None,
        all_reduce: Callable[..., Any] | None = None,
    ) -> None:
        self.time_steps = time_steps
        self.tiles = Tiles(threads)
        self.monitor = monitor or Monitor()
        self.all_reduce = all_reduce or (lambda act, *parts: act(*parts))
        self.counter = OperationCounter(time_steps)
        self.overflows: dict[str, np.ndarray] = {}

    def record(self, hook: str, events: SpikeEvents) -> SpikeEvents:
        """Keep the events under their official hook name, if this run records; hand them on."""
        if self.monitor.wants_spikes:
            self.monitor.add_spikes(hook, events)
        return events

    def count_other(self, kind: str, stage: str, **operations: np.ndarray | int) -> None:
        """Enter operations outside the weight layers: fields of OperationCount, per time step; see Result."""
        self.counter.add(as_given, kind, stage, operations)

    def count_each(self, kind: str, stage: str, events: SpikeEvents, *fields: str) -> None:
        """Enter one operation for each event, outside the weight layers, in these fields of OperationCount."""
        self.counter.add(one_each, kind, stage, events.step_offsets(), fields)

    def count_overflows(self, register: str, per_step: np.ndarray) -> None:
        """Add the numbers that did not fit into a register, int64[T]."""
        self.overflows[register] = self.overflows.get(register, 0) + per_step
