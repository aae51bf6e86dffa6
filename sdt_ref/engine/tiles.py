"""Tiles: positions are cut into equal ones, and each is worked on by one thread."""

import contextvars
import itertools
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

MAX_THREADS = 256

Worked = TypeVar("Worked")
TileWorker = Callable[[int, int], Worked]


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


def start(pool: ThreadPoolExecutor, work: Callable[..., Worked], *arguments: Any) -> Future[Worked] | None:
    """Start work in a thread, in the caller's context; None where the interpreter is ending and starts no more."""
    try:
        return pool.submit(contextvars.copy_context().run, work, *arguments)
    except RuntimeError as error:
        if "shutdown" in str(error):  # what Python says then: of its threads, and of these pools
            return None
        raise


class Tiles:
    """Cuts positions into tiles, and works on them in threads.

    Parameters
    ----------
    threads : to use
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def size(self, total: int, most: int, least: int) -> int:
        """Positions per tile, so that `total` of them make equal tiles, one for each thread if there is work.

        More would even out the threads, but each tile reads all weights of its layer: 6 % more time for two of them.

        Parameters
        ----------
        most : positions that a tile can have
        least : positions that are worth a tile and a thread of their own
        """
        n_tiles = max(-(-total // most), min(self.threads, total // least), 1)
        return -(-total // n_tiles)

    def work(self, total: int, size: int, make_worker: Callable[[], TileWorker[Worked]]) -> list[Worked]:
        """Cut positions 0 .. total-1 into tiles and work on them in threads; the results come back in order.

        Parameters
        ----------
        size : positions per tile
        make_worker : called once per thread, so that each has its own scratch; returns f(first, count) -> result
        """
        firsts = range(0, total, size)
        results: list[Worked | None] = [None] * len(firsts)
        tickets, stopped = itertools.count(), list[bool]()

        def draw() -> None:
            worker = make_worker()
            while not stopped and (ticket := next(tickets)) < len(firsts):
                results[ticket] = worker(firsts[ticket], min(size, total - firsts[ticket]))

        helpers: list[Future[None]] = []
        try:
            for _ in range(min(self.threads, len(firsts)) - 1):
                if (helper := start(_pool(self.threads), draw)) is None:
                    break
                helpers.append(helper)
            draw()
            for helper in helpers:
                helper.result()
        except BaseException:  # Ctrl-C, or an error in one thread: the others draw no more
            stopped.append(True)
            raise
        return results  # type: ignore[return-value]  # every ticket was drawn
