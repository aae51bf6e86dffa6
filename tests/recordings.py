"""Random recordings, and random weights that read them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sdt_ref.weights import file as weights_file
from sdt_ref.weights.config import Preprocessing
from sdt_ref.weights.presets import class_names
from tests import camera_bytes
from tests.networks import Network, weights_of

GESTURES = class_names("gesture") or ()
DIGITS = class_names("nmnist") or ()
DVS = Network(in_channels=2, frames=True, dvs_mode=True, time_steps=4, num_classes=10, seed=3)


def some_events(n: int = 60, side: int = 34, seed: int = 0) -> list[camera_bytes.Event]:
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 300_000, n))
    return [
        (int(a), int(x), int(y), int(p))
        for a, x, y, p in zip(t, *rng.integers(0, (side, side, 2), (n, 3)).T, strict=True)
    ]


def save(path: Path, n: Network = DVS, **preprocessing: Any) -> Path:
    """Random weights that read N-MNIST's sensor."""
    weights = weights_of(n)
    how = Preprocessing(**{"size": 36, "frames": True, "sensor": 34, **preprocessing})
    weights_file.save(path, weights_file.Weights(weights.tensors, weights.config, how, DIGITS, {}))
    return path


def npz(path: Path, events: Sequence[camera_bytes.Event]) -> Path:
    t, x, y, p = np.array(events).T
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, t=t, x=x, y=y, p=p)
    return path


def gesture_folder(path: Path) -> Path:
    """One recording of two trials, which overlap."""
    events = [(100 * k, k % 128, 5, k % 2) for k in range(40)]
    (path / "user01_lab.aedat").write_bytes(camera_bytes.aedat3(events))
    (path / "user01_lab_labels.csv").write_text("class,startTime_usec,endTime_usec\n11,0,1000\n3,900,2000\n")
    return path
