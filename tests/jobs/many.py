"""What an evaluation of many images holds in memory: `python -m tests.jobs.many N [WORKERS]`.

The pack is generated, a byte for each image; in place of the network stands a task that takes no time. Prints the MiB
that this process, the client, had at most, and seconds.
"""

import contextlib
import io
import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sdt_ref import evaluate
from sdt_ref.inputs.selection import Item
from sdt_ref.jobs.job import Compute, Part

CLASSES = 10


class Guess:
    """Takes the last digits of its name for what a sample shows."""

    def __init__(self, *_: Any) -> None:
        """Take what `Classify` takes."""

    def settings(self) -> Mapping[str, Any]:
        return {}

    def prepare(self, weights: Any, threads: int | None) -> Compute:
        return self.compute

    def compute(self, items: Iterable[Item]) -> Part:
        names, labels = zip(*((name, label) for name, _, label in items), strict=True)
        predicted = np.array([int(name[-1]) for name in names])
        logits = np.eye(CLASSES, dtype=np.float32)[predicted]
        arrays = {"label": np.array(labels), "predicted": predicted, "logits": logits}
        return Part(arrays, {"names": names, "unreadable": [], "repairs": {}})


def evaluated(images: int, *workers: str) -> None:
    """Evaluate so many, with an output, in chunks of 1,000; here, or in so many processes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with h5py.File(folder / "pack.h5", "w") as file:
            file["test/jpeg"] = np.zeros(images, np.uint8)
            file["test/offset"] = np.arange(images + 1)
            file["test/label"] = (np.arange(images) % CLASSES).astype(np.uint8)
        evaluate.Classify = Guess  # type: ignore[assignment, misc]
        line = [str(folder / "pack.h5"), "--chunk", "1000", "-o", str(folder / "results.npz"), "--json"]
        line += ["--workers", *workers] if workers else []
        with contextlib.redirect_stdout(io.StringIO()):
            assert evaluate.main(line) == 0
        with np.load(folder / "results.npz") as file:
            assert len(file["predicted"]) == images


if __name__ == "__main__":
    begin = time.perf_counter()
    from tests.jobs.many import evaluated as run  # workers find the task there, and not in __main__

    run(int(sys.argv[1]), *sys.argv[2:])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{most:.0f} MiB, {time.perf_counter() - begin:.0f} s")
