"""How fast these cores can add at best: weight rows from a cache, added to sums in registers, and nothing else."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sdt_ref import kernels
from sdt_ref.kernels.policy import kernel
from sdt_ref.kernels.vector import add_panel_rows

LEVELS = {"L1": 16 << 10, "L2": 256 << 10}  # bytes of weights: half of a common cache of that level
EVENTS = 1 << 21  # some milliseconds: threads begin and end within a fraction of one
LIST = 256  # events of one list: so long that what stands around the additions does not count
REPEATS = 15


@kernel
def load_and_add(rows, panels, current):
    """Add the rows, LIST by LIST, to one panel of sums."""
    for first in range(0, len(rows), LIST):
        add_panel_rows(rows, first, first + LIST, panels.shape[0], panels, 0, current, 0)


def additions_per_second(nbytes: int, threads: int) -> float:
    """Float32 additions of random weight rows out of nbytes of them, by all threads at once; the best of REPEATS."""
    n_rows = nbytes // (4 * kernels.PANEL)

    def worker(seed: int) -> Callable[[], None]:
        rng = np.random.default_rng(seed)
        rows = rng.integers(0, n_rows, EVENTS).astype(np.uint16)
        panels, current = (
            kernels.aligned((n_rows, kernels.PANEL), np.float32),
            kernels.aligned(kernels.PANEL, np.float32),
        )
        return lambda: load_and_add(rows, panels, current)

    workers = [worker(seed) for seed in range(threads)]
    best = np.inf
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(REPEATS):
            start = time.perf_counter()
            for done in [pool.submit(work) for work in workers]:
                done.result()
            best = min(best, time.perf_counter() - start)
    return threads * EVENTS * kernels.PANEL / best
