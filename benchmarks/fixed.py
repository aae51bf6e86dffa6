"""Whole numbers beside float32, in the same engine: 8-bit weights and registers that cannot overflow."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.weights.file import Weights


@dataclass(frozen=True)
class Pair:
    """Times of the two arithmetics in turn, seconds; additions of each."""

    threads: int
    float32: list[float]
    fixed: list[float]
    additions: tuple[int, int]

    @property
    def ratio(self) -> float:
        """How much faster fixed point is: the median of ratios."""
        return float(np.median(np.divide(self.float32, self.fixed)))


def measure(weights: Weights, x: np.ndarray, threads: int, runs: int) -> Iterator[Pair]:
    """Time both with one thread and with all, one after the other in each run."""
    for n in sorted({1, threads}):
        models = [SpikeDrivenTransformer(weights, arithmetic, n) for arithmetic in ("float32", "fixed")]
        results = [model(x) for model in models]
        seconds: tuple[list[float], list[float]] = [], []
        for _ in range(runs):
            for model, times in zip(models, seconds, strict=True):
                start = time.perf_counter()
                model(x)
                times.append(time.perf_counter() - start)
        first, second = (sum(int(count.ac.sum()) for count in result.counts.values()) for result in results)
        yield Pair(n, *seconds, (first, second))
