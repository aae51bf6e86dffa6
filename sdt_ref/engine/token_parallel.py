"""Threads that keep their own tokens through all the blocks, and meet only where tokens meet: in the attention's sum.

Every other layer of a block treats each token alone, so nobody need wait for anybody there.
"""

import contextvars
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from .current import StoredCurrent
from .events import SpikeEvents
from .monitor import Monitor
from .run import Run

WORTH_A_RANK = 1 << 24  # values of the stream times channels; with less, threads wait for Python's lock in turns

Stages = Callable[[StoredCurrent, Run], StoredCurrent]


def token_parallel(stages: Stages, u: StoredCurrent, run: Run) -> StoredCurrent:
    """Run stages that treat each token alone, except for what they do in `Run.all_reduce`.

    Each thread takes a share of the tokens of every sample: the stages see [T, B, 1, tokens, C].

    Parameters
    ----------
    u : [T, B, H, W, C] stream
    run : gets the counts and the recordings of all threads
    """
    tokens = u.grid[2] * u.grid[3]
    size = max(1, min(run.threads, tokens, u.panels.size * u.n_channels // WORTH_A_RANK))
    if size == 1 or run.monitor.in_turn:
        return stages(u, run)
    all_reduce = _AllReduce(size)
    wanted = run.monitor.wants_spikes, run.monitor.wants_numbers
    runs = [Run(run.time_steps, 1, Monitor(*wanted), partial(all_reduce, rank), tokens) for rank in range(size)]
    shares = dict(enumerate(u.split(size)))

    def work(rank: int) -> StoredCurrent:
        try:
            return stages(shares.pop(rank), runs[rank])
        except BaseException:
            all_reduce.abort()
            raise

    with ThreadPoolExecutor(size - 1, thread_name_prefix="sdt_ref_rank") as pool:
        helpers: list[Future[StoredCurrent]] = []
        try:
            for rank in range(1, size):
                helpers.append(pool.submit(contextvars.copy_context().run, work, rank))
            done = [work(0), *(helper.result() for helper in helpers)]
        except threading.BrokenBarrierError as broken:  # somebody else failed: that error is the one to show
            errors = [helper.exception() for helper in helpers]
            raise next((e for e in errors if e and not isinstance(e, threading.BrokenBarrierError)), broken) from None
        except BaseException:  # also where no thread could be started: nobody shall wait for it
            all_reduce.abort()
            raise
    _merge(runs, run, u.grid)
    return StoredCurrent.join(done, u.grid)


class _AllReduce:
    """Where all threads wait for each other; see `Run.all_reduce`."""

    def __init__(self, size: int) -> None:
        self._barrier = threading.Barrier(size)
        self._parts = [np.zeros(0)] * size
        self._answer: Any = None

    def __call__(self, rank: int, part: np.ndarray, act: Callable[[np.ndarray], Any]) -> Any:
        self._parts[rank] = part
        self._barrier.wait()
        if rank == 0:
            self._answer = act(sum(self._parts[1:], self._parts[0]))
        self._barrier.wait()
        return self._answer

    def abort(self) -> None:
        """Let nobody wait for one who failed: BrokenBarrierError for those who wait, and for those who will come."""
        self._barrier.abort()


def _merge(ranks: Sequence[Run], run: Run, grid: tuple[int, ...]) -> None:
    """Enter into a run what all ranks counted and recorded; what the first one did alone is taken as it is."""
    for rank in ranks:
        run.counter.merge(rank.counter)
        for register, per_step in rank.overflows.items():
            run.count_overflows(register, per_step)
    recorded = [rank.monitor for rank in ranks]

    def joined(kind: str, module: str) -> np.ndarray | None:
        arrays = [getattr(part, kind)[module] for part in recorded if module in getattr(part, kind)]
        if len(arrays) < 2:
            return arrays[0] if arrays else None
        whole = np.concatenate(arrays, axis=-1)
        return whole.reshape(*whole.shape[:3], *grid[2:])

    for hook, events in recorded[0].spikes.items():
        shares = [part.spikes[hook] for part in recorded if hook in part.spikes]
        run.monitor.add_spikes(hook, events if len(shares) == 1 else SpikeEvents.join(shares, grid))
    for module, current in recorded[0].currents.items():
        whole = joined("currents", module)
        run.monitor.add_neurons(module, current if whole is None else whole, joined("sums", module))
    for module, stream in recorded[0].streams.items():
        whole = joined("streams", module)
        run.monitor.add_stream(module, stream if whole is None else whole, joined("sums", module))
