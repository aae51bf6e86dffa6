"""Threads that keep their own tokens through all the blocks, and meet only where tokens meet: in the attention's sum.

Every other layer of a block treats each token alone, so no thread waits for another there.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

import numpy as np

from .events import SpikeEvents
from .monitor import Monitor
from .run import Run
from .stored import StoredCurrent
from .tiles import start

WORTH_A_RANK = 1 << 24  # values of the stream times channels; with less, threads wait for Python's lock in turns


class TokenStage(Protocol):
    """A stage of the residual stream.

    Attributes
    ----------
    tokens_apart : whether it treats each token alone, except for what it does in `Run.all_reduce`
    """

    tokens_apart: bool

    def __call__(self, u: StoredCurrent, run: Run) -> StoredCurrent:
        """[T, B, H, W, C] stream -> the same."""


def token_parallel(stages: Sequence[TokenStage], u: StoredCurrent, run: Run) -> StoredCurrent:
    """Run stages one behind the other; where they treat tokens apart, in threads that keep their tokens throughout.

    Each thread takes a share of the tokens of every sample: its stages see [T, B, 1, tokens, C]. One thread runs them
    alone where there is too little work, where a monitor takes everything in turn, or where no thread starts any more.

    Parameters
    ----------
    u : [T, B, H, W, C] stream
    run : gets the counts and what was recorded of all threads
    """
    tokens = u.grid[2] * u.grid[3]
    size = max(1, min(run.tiles.threads, tokens, u.panels.size * u.n_channels // WORTH_A_RANK))
    if size == 1 or run.monitor.in_turn or not all(stage.tokens_apart for stage in stages):
        return _in_turn(stages, u, run)
    all_reduce = _AllReduce(size)
    wanted = run.monitor.wants_spikes, run.monitor.wants_numbers
    runs = [Run(run.time_steps, 1, Monitor(*wanted), partial(all_reduce, rank)) for rank in range(size)]
    shares = dict(enumerate(u.split(size)))

    def work(rank: int) -> StoredCurrent:
        try:
            return _in_turn(stages, shares.pop(rank), runs[rank])
        except BaseException:
            all_reduce.abort()
            raise

    with ThreadPoolExecutor(size - 1, thread_name_prefix="sdt_ref_rank") as pool:
        helpers: list[Future[StoredCurrent]] = []
        try:
            for rank in range(1, size):
                if (helper := start(pool, work, rank)) is None:
                    all_reduce.abort()
                    return _in_turn(stages, u, run)
                helpers.append(helper)
            done = [work(0), *(helper.result() for helper in helpers)]
        except threading.BrokenBarrierError as broken:  # another thread failed: its error is the one to show
            errors = [helper.exception() for helper in helpers]
            raise next((e for e in errors if e and not isinstance(e, threading.BrokenBarrierError)), broken) from None
        except BaseException:  # also where no thread could be started: the others must not wait for it
            all_reduce.abort()
            raise
    _merge(runs, run, u.grid)
    return StoredCurrent.join(done, u.grid)


def _in_turn(stages: Sequence[TokenStage], u: StoredCurrent, run: Run) -> StoredCurrent:
    for stage in stages:
        u = stage(u, run)
    return u


class _AllReduce:
    """Where all threads wait for each other; see `Run.all_reduce`."""

    def __init__(self, size: int) -> None:
        self._barrier = threading.Barrier(size)
        self._parts: list[tuple[Any, ...]] = [()] * size
        self._answer: Any = None

    def __call__(self, rank: int, act: Callable[..., Any], *parts: Any) -> Any:
        self._parts[rank] = parts
        self._barrier.wait()
        if rank == 0:
            self._answer = act(*(sum(shares[1:], shares[0]) for shares in zip(*self._parts, strict=True)))
        self._barrier.wait()
        return self._answer

    def abort(self) -> None:
        """End all waiting after a failure: BrokenBarrierError in threads that wait, and in those that still come."""
        self._barrier.abort()


def _merge(ranks: Sequence[Run], run: Run, grid: tuple[int, ...]) -> None:
    """Enter into a run what all ranks counted and recorded; what the first thread did alone is taken as it is."""
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
