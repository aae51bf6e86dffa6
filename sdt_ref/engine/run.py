"""One forward pass: its threads, its operation counts, its recordings."""

import contextvars
import itertools
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import numpy as np

from .counting import OperationCounter, as_given, one_each
from .events import SpikeEvents
from .monitor import Monitor

MAX_THREADS = 256

Piece = TypeVar("Piece")
TileWorker = Callable[[int, int], Piece]


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_THREADS)
    return min(os.cpu_count() or 1, MAX_THREADS)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="sdt_ref")


if hasattr(os, "register_at_fork"):  # threads do not follow into a forked child
    os.register_at_fork(after_in_child=_pool.cache_clear)


class Run:
    """Carries one forward pass through the stages.

    Attributes
    ----------
    time_steps : T
    threads : that `tiles` and `token_parallel` may use
    monitor : takes what is recorded
    all_reduce : all_reduce(part, act) adds the parts of all threads that run the same stages on different tokens,
        lets one of them act on the sum, and returns to all what act returned; a thread that runs alone acts on its part
    n_tokens : of each sample, where a thread has but a share of them; or None
    counter : takes the operations
    overflows : see Result
    """

    def __init__(
        self,
        time_steps: int,
        threads: int,
        monitor: Monitor | None = None,
        all_reduce: Callable[..., Any] | None = None,
        n_tokens: int | None = None,
    ) -> None:
        self.time_steps = time_steps
        self.threads = threads
        self.monitor = monitor or Monitor()
        self.all_reduce = all_reduce or (lambda part, act: act(part))
        self.n_tokens = n_tokens
        self.counter = OperationCounter(time_steps)
        self.overflows: dict[str, np.ndarray] = {}

    def tile_size(self, total: int, most: int, least: int) -> int:
        """Positions per tile, so that `total` of them make equal tiles, one for each thread if there is work.

        More would even out the threads, but each tile reads all weights of its layer: 6 % more time for two of them.

        Parameters
        ----------
        most : positions that a tile can have
        least : positions that are worth a tile and a thread of their own
        """
        n_tiles = max(-(-total // most), min(self.threads, total // least), 1)
        return -(-total // n_tiles)

    def tiles(self, total: int, size: int, make_worker: Callable[[], TileWorker[Piece]]) -> list[Piece]:
        """Cut positions 0 .. total-1 into tiles and work on them in threads; the pieces come back in order.

        Parameters
        ----------
        size : positions per tile
        make_worker : called once per thread, so that each has its own scratch; returns f(first, count) -> piece
        """
        firsts = range(0, total, size)
        pieces: list[Piece | None] = [None] * len(firsts)
        tickets, stopped = itertools.count(), list[bool]()

        def work() -> None:
            worker = make_worker()
            while not stopped and (ticket := next(tickets)) < len(firsts):
                pieces[ticket] = worker(firsts[ticket], min(size, total - firsts[ticket]))

        helpers: list[Future[None]] = []
        try:
            for _ in range(min(self.threads, len(firsts)) - 1):
                helpers.append(_pool(self.threads).submit(contextvars.copy_context().run, work))
            work()
            for helper in helpers:
                helper.result()
        except BaseException:  # Ctrl-C, or an error in one thread: the others draw no more
            stopped.append(True)
            raise
        return pieces  # type: ignore[return-value]  # every ticket was drawn

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
