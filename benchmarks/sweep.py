"""One common firing rate from 0.01 to 0.5: where a dense engine would win."""

from collections.abc import Callable
from dataclasses import dataclass

from sdt_ref.network.model import SpikeDrivenTransformer

from .compare import compare
from .networks import calibrated, photo, uniform

RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
DENSE = ("OpenVINO", "ONNX Runtime")  # the fastest; dense work is the same at every rate


@dataclass(frozen=True)
class Point:
    """One rate: additions of the event engine, and the times of all engines, seconds by name."""

    rate: float
    additions: int
    seconds: dict[str, list[float]]


def measure(dim: int, depth: int, size: int, threads: int, runs: int, seed: int,
            say: Callable[[str], None]) -> list[Point]:  # fmt: skip
    """Calibrate a network to each rate, and time the engines in turn."""
    points = []
    for rate in RATES:
        weights, x = calibrated(dim, depth, size, rates=uniform(rate), seed=seed), photo(size)
        counts = SpikeDrivenTransformer(weights, threads=threads)(x).counts
        say(f"firing rate {rate}:")
        rows = compare(weights, x, DENSE, threads, runs, say)
        additions = sum(int(count.ac.sum()) for count in counts.values())
        points.append(Point(rate, additions, {row.name: row.seconds for row in rows}))
    return points
