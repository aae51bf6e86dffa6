"""Recordings of made-up events, the same every time, whose references lie beside this file."""

from pathlib import Path

import numpy as np

from tests import camera_bytes as made

HERE = Path(__file__).parent
SPLITS = [(1, "number"), (7, "number"), (16, "number"), (1, "time"), (7, "time"), (16, "time")]


def events(side: int, seed: int, first: int = 0) -> list[made.Event]:
    """400 events within 34x34 or 128x128, a few microseconds apart."""
    rng = np.random.default_rng(seed)
    t = first + np.cumsum(rng.integers(1, 50, 400))
    return list(zip(t.tolist(), *(rng.integers(0, n, 400).tolist() for n in (side, side, 2)), strict=True))


BYTES = {
    "nmnist": lambda: made.nmnist(events(34, 0)),
    "aedat2": lambda: made.aedat2(events(128, 1, first=2**31 - 5000)),
    "aedat3": lambda: made.aedat3(events(128, 2, first=2**31 - 5000), packet=64),
    "npz": lambda: made.npz(**{key: column.astype(">i4") for key, column in made.columns(events(128, 3)).items()}),
}
