"""What the cost grows with: events, tokens, channels. The slope of a line through the logarithms is the exponent."""

import math
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from sdt_ref.engine.events import SpikeEvents
from sdt_ref.engine.run import Run
from sdt_ref.engine.set_operations import intersect, sum_tokens
from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.weights.file import Weights

from .networks import calibrated, photo, uniform

RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5)
DEPTH = 2  # blocks of the networks whose size or width grows
RUNS = 5


@dataclass(frozen=True)
class Growth:
    """Time against one quantity.

    Attributes
    ----------
    name, quantity : what was timed, and what grew
    expected : slope that the algorithm has, were nothing else to cost time
    x, seconds : the points; medians
    fixed : seconds that the same networks take when no neuron spikes: neurons charge and leak all the same
    """

    name: str
    quantity: str
    expected: float
    x: list[float]
    seconds: list[float]
    fixed: list[float]

    @property
    def points(self) -> list[tuple[float, float]]:
        """The quantity, and the seconds that spikes cost, above the fixed ones; without points hidden by noise."""
        above = [seconds - fixed for seconds, fixed in zip(self.seconds, self.fixed, strict=True)]
        return [(x, seconds) for x, seconds in zip(self.x, above, strict=True) if seconds > 0]

    @property
    def slope(self) -> float:
        """Exponent of the power law that fits what spikes cost; NaN where less than two points show it."""
        if len(self.points) < 2:
            return math.nan
        x, seconds = np.log(self.points).T
        return float(np.polyfit(x, seconds, 1)[0])


def median_time(action: Callable[[], object], runs: int = RUNS) -> float:
    """Seconds, after one call to warm up."""
    action()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def measure(threads: int, seed: int) -> Iterable[Growth]:
    """All growths, one by one."""
    yield network_growth("additions", 1, [(384, 224, rate) for rate in RATES], threads, seed)
    yield network_growth("tokens", 1, [(384, size, 0.15) for size in (96, 160, 224, 320, 448)], threads, seed)
    yield network_growth("channels", 2, [(dim, 224, 0.15) for dim in (192, 256, 384, 512, 768)], threads, seed)
    yield attention_growth("tokens", [(n, 512) for n in (196, 784, 3136, 12544)], seed)
    yield attention_growth("channels", [(784, d) for d in (128, 256, 512, 1024, 2048)], seed)


def network_growth(
    quantity: str, expected: float, cases: list[tuple[int, int, float]], threads: int, seed: int
) -> Growth:
    """Time the whole network, calibrated to one common rate; cases : (channels, pixels, rate)."""
    points, seconds, fixed = [], [], []
    for dim, size, rate in cases:
        weights = calibrated(dim, DEPTH, size, rates=uniform(rate), seed=seed)
        model, x = SpikeDrivenTransformer(weights, threads=threads), photo(size)
        additions = sum(int(count.ac.sum()) for count in model(x).counts.values())
        points.append({"additions": additions, "tokens": (size / 16) ** 2, "channels": dim}[quantity])
        seconds.append(median_time(lambda model=model, x=x: model(x)))
        model = SpikeDrivenTransformer(silent(weights), threads=threads)
        fixed.append(median_time(lambda model=model, x=x: model(x)))
    return Growth("network", quantity, expected, points, seconds, fixed)


def silent(weights: Weights) -> Weights:
    """The same network with biases so low that no neuron ever spikes."""
    low = {
        name: np.full_like(b, -100) for name, b in weights.tensors.items() if "_bn" in name and name.endswith("bias")
    }
    return replace(weights, tensors={**weights.tensors, **low})


def attention_growth(quantity: str, cases: list[tuple[int, int]], seed: int, rate: float = 0.15) -> Growth:
    """Time the attention alone, Q AND spike(sum of K AND V), on one thread; cases : (N tokens, D channels)."""
    points, seconds = [], []
    for n, d in cases:
        rng = np.random.default_rng(seed)
        q, k, v = (SpikeEvents.from_dense(rng.random((4, 1, d, 1, n), np.float32) < rate) for _ in "qkv")
        mask = SpikeEvents.from_dense(rng.random((4, 1, d), np.float32) < rate)

        def attend(q: SpikeEvents = q, k: SpikeEvents = k, v: SpikeEvents = v, mask: SpikeEvents = mask) -> None:
            run = Run(4, 1)
            sum_tokens(intersect(k, v, run))
            intersect(q, mask, run)

        points.append(n if quantity == "tokens" else d)
        seconds.append(median_time(attend, 3 * RUNS))
    return Growth("attention (SDSA)", quantity, 1, points, seconds, [0.0] * len(points))
