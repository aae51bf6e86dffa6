"""What counting operations costs: the engine beside a copy of it that counts nothing, each in turn."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.weights.file import Weights, save
from tests.copies import changed_copy

# file, what counts, what stands there instead
UNCOUNTED = (
    ("kernels/accumulate.py", "added[p, t] += e - begin\n", "pass\n"),
    ("kernels/analog.py", "taps[p, frame] += columns\n", "pass\n"),
    ("engine/run.py", "self.counter.add(as_given, kind, stage, operations)\n", "return\n"),
    ("engine/synapse.py", "offsets, rows = self.events.step_offsets(), self._rows_added\n", "return\n"),
    (
        "network/encoder.py",
        "run.counter.add(self.encoder.rules.of_image, positions(self.grid), self._taps)\n",
        "return\n",
    ),
    ("engine/neuron.py", "run.counter.add(self._rule, n * C, spikes.step_offsets())\n", "pass\n"),
    ("engine/set_operations.py", "np.diff(events.offsets).reshape(T, B, H, W) @ columns @ rows", "np.zeros((T, B))"),
    ("engine/run.py", "self.counter.add(one_each, kind, stage, events.step_offsets(), fields)\n", "return\n"),
)
AT_ONE_PLACE = 10  # runs before the weights are loaded anew


@dataclass(frozen=True)
class Cost:
    """Seconds with counters and without, in turn; the same logits."""

    counting: list[float]
    silent: list[float]

    @property
    def share(self) -> float:
        """Share of the time that counting takes: the median of the ratios, less one."""
        return float(np.median(np.divide(self.counting, self.silent)) - 1)


def measure(weights: Weights, x: np.ndarray, threads: int, runs: int) -> Cost:
    """Time both, one after the other in each run; the order alternates.

    Raises AssertionError when they differ in a logit.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.h5"
        save(file, weights)
        with changed_copy(Path(folder), *UNCOUNTED, jit=True) as copy, changed_copy(Path(folder), jit=True) as same:
            seconds: tuple[list[float], list[float]] = [], []
            for n in range(runs):
                if n % AT_ONE_PLACE == 0:  # where weights happen to lie in memory moves a time by a percent
                    models = [_load(package, file, threads) for package in (same, copy)]  # both compiled alike
                    logits = [model(x).logits for model in models]
                    assert (logits[0] == logits[1]).all(), "the copy that counts nothing computes something else"
                for k in (0, 1) if n % 2 else (1, 0):
                    start = time.perf_counter()
                    models[k](x)
                    seconds[k].append(time.perf_counter() - start)
    return Cost(*seconds)


def _load(package: ModuleType, file: Path, threads: int) -> SpikeDrivenTransformer:
    return package.load(file, threads=threads)  # type: ignore[no-any-return]
