"""What reading, decoding and resizing cost: `evaluate`'s road beside the engine alone, on inputs that lie ready."""

import io
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from sdt_ref.inputs.reading import read
from sdt_ref.inputs.selection import Selected, Selection
from sdt_ref.jobs.job import Compute, Job
from sdt_ref.jobs.running import ThisProcess, parts
from sdt_ref.measuring.accuracy import Accuracy, Classify, rows_of
from sdt_ref.network.model import SpikeDrivenTransformer
from sdt_ref.weights.file import Weights

BATCH = 16  # of the engine alone
QUALITY = 85  # of the JPEG files
GRAIN = 28  # standard deviation of their noise: 500 x 375 pixels have some 90 kB then, as in ImageNet
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Case:
    """Pictures of one size, width and height, in pixels; how many; and the network that reads them."""

    size: tuple[int, int]
    images: int
    network: str


CASES = Case((32, 32), 256, "shipped"), Case((500, 375), 16, "sdt-8-512")


@dataclass(frozen=True)
class Cost:
    """Seconds of the whole road and of the engine alone, in turn, for the same images.

    Attributes
    ----------
    images : in each run
    road, engine : on the clock
    road_cpu, engine_cpu : of the processor, all threads and child processes together
    """

    images: int
    road: list[float]
    engine: list[float]
    road_cpu: list[float]
    engine_cpu: list[float]

    @property
    def extra(self) -> tuple[float, float, float]:
        """What the road takes more than the engine, as a share: the median over the pairs, and its interval."""
        return _median_with_interval(np.divide(self.road, self.engine) - 1)

    @property
    def extra_cpu(self) -> tuple[float, float, float]:
        """The same, of the processor's time."""
        return _median_with_interval(np.divide(self.road_cpu, self.engine_cpu) - 1)


@dataclass(frozen=True)
class _Prepared:
    """A task that is ready, so that no run builds the network anew."""

    compute: Compute

    def settings(self) -> dict[str, object]:
        return {}

    def prepare(self, weights: Weights, threads: int | None) -> Compute:
        return self.compute


def measure(weights: Weights, pack: Path, images: int, threads: int, runs: int) -> Cost:
    """Time both, one after the other in each run; the order alternates.

    Raises AssertionError when the two do not find the same labels.
    """
    selection = Selection((str(pack),), False, None, images, weights.classes)
    data = selection.open()
    model = SpikeDrivenTransformer(weights, threads=threads)
    job = Job(_Prepared(Classify().prepare(weights, threads)), weights, selection)
    items = data.items(range(len(data)))
    inputs = [read(item.source, weights.preprocessing, weights.config.time_steps, as_official=True) for item in items]
    batches = [np.stack(batch) for batch in _in_batches(inputs)]
    labels = {
        "road": lambda: _road(job, data, threads),
        "engine": lambda: np.concatenate([model(batch).logits.argmax(axis=1) for batch in batches]),
    }
    assert (labels["road"]() == labels["engine"]()).all(), "the road finds other labels than the engine alone"
    seconds: dict[str, list[float]] = {name: [] for name in labels}
    cpu: dict[str, list[float]] = {name: [] for name in labels}
    for n in range(runs):
        for name in sorted(labels, reverse=bool(n % 2)):
            _time(labels[name], seconds[name], cpu[name])
    return Cost(len(data), seconds["road"], seconds["engine"], cpu["road"], cpu["engine"])


def _road(job: Job, data: Selected, threads: int) -> np.ndarray:
    """What `evaluate` does between opening the data and printing; the labels that it finds."""
    counted, predicted = Accuracy(), []
    for _, part in parts(ThisProcess(job, data, threads), len(data)):
        counted.add(rows_of(part))
        predicted.append(part.arrays["predicted"])
    return np.concatenate(predicted)


def _time(work: Callable[[], object], seconds: list[float], cpu: list[float]) -> None:
    start, used = time.perf_counter(), sum(os.times()[:4])
    work()
    seconds.append(time.perf_counter() - start)
    cpu.append(sum(os.times()[:4]) - used)


def _in_batches(inputs: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    left = iter(inputs)
    while batch := list(islice(left, BATCH)):
        yield batch


def _median_with_interval(values: np.ndarray) -> tuple[float, float, float]:
    """The median, and the two values between which that of endless pairs lies: at least with CONFIDENCE, from 6 pairs.

    Fewer than k of n values lie below the true median as often as fewer than k of n coins show heads.
    """
    n, ascending = len(values), np.sort(values)
    k, tail = 0, 0.5**n
    while tail <= (1 - CONFIDENCE) / 2:
        k += 1
        tail += math.comb(n, k) * 0.5**n
    k = max(k - 1, 0)
    return float(np.median(values)), float(ascending[k]), float(ascending[n - 1 - k])


@contextmanager
def generated_pack(size: tuple[int, int], images: int, classes: Sequence[str], seed: int) -> Iterator[Path]:
    """A pack of JPEG files of one size, width and height; the same seed gives the same pixels."""
    rng = np.random.default_rng(seed)
    files = [_jpeg(size, rng) for _ in range(images)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pictures.h5"
        with h5py.File(path, "w") as file:
            file.attrs["classes"] = list(classes)
            file["test/jpeg"] = np.frombuffer(b"".join(files), np.uint8)
            file["test/offset"] = np.cumsum([0, *map(len, files)])
            file["test/label"] = np.arange(images) % len(classes)
        yield path


def _jpeg(size: tuple[int, int], rng: np.random.Generator) -> bytes:
    """Slopes of colour, in a random direction each, under noise: they decode as long as a photo of as many bytes."""
    y, x = np.mgrid[: size[1], : size[0]] / max(size)
    slopes = rng.normal(0, 160, (2, 3))
    noise = rng.normal(0, GRAIN, (*x.shape, 3))
    pixels = 128 + (x - x.mean())[..., None] * slopes[0] + (y - y.mean())[..., None] * slopes[1] + noise
    stream = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()
