"""What one image costs, in numbers that no machine's load can change: additions, calls, bytes. Times are not tested."""

import tracemalloc
from collections import Counter
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

import sdt_ref
from sdt_ref import kernels
from sdt_ref.inputs.image import open_picture, preprocess

THREADS = 2  # the numbers of tiles and shares depend on it
ADDITIONS, MULTIPLICATIONS = 213_949_698, 848_256
CALLS = {
    "conv3x3_analog": 1,
    "add_rows": 24,
    "lif_steps": 25,
    "list_events": 23,
    "pool3x3": 1,
    "max_pool3x3": 16,
    "intersect": 4,
    "sum_tokens": 2,
}
PEAK_BYTES = 3_000_000


@pytest.fixture(scope="module")
def model() -> sdt_ref.SpikeDrivenTransformer:
    return sdt_ref.load(threads=THREADS)


@pytest.fixture(scope="module")
def photo(model: sdt_ref.SpikeDrivenTransformer) -> np.ndarray:
    return preprocess(open_picture(str(files(sdt_ref) / "data" / "cat.jpg")), model.preprocessing)[None]


def test_additions_of_the_sample_photo(model: sdt_ref.SpikeDrivenTransformer, photo: np.ndarray) -> None:
    """As many as spikes times the outputs that each reaches: another number is another network or another count."""
    counts = model(photo).counts
    assert sum(int(count.ac.sum()) for count in counts.values()) == ADDITIONS
    assert sum(int(count.mac.sum()) for count in counts.values()) == MULTIPLICATIONS


def test_kernel_calls_of_one_image(
    model: sdt_ref.SpikeDrivenTransformer, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python runs once per tile, so calls are what Python costs."""
    calls: Counter[str] = Counter()

    def counted(name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls[name] += 1
            return kernel(*arguments)

        return call

    for name in CALLS:
        monkeypatch.setattr(kernels, name, counted(name, getattr(kernels, name)))
    model(photo)
    assert dict(calls) == CALLS


def test_bytes_of_one_image(model: sdt_ref.SpikeDrivenTransformer, photo: np.ndarray) -> None:
    model(photo)
    tracemalloc.start()
    model(photo)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < PEAK_BYTES
