"""Hypothesis profiles, the folder of full-size golden data beside the project if it is there, and small data sets."""

import io
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

from tests import camera_bytes
from tests.recordings import save, some_events
from tests.shipped import CIFAR10

for name in ("COLUMNS", "LINES"):  # of the terminal that runs the tests, which readline passes on to worker processes
    os.environ.pop(name, None)

settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A campaign is also slow: `-m "not slow"` leaves both out."""
    for item in items:
        if item.get_closest_marker("campaign"):
            item.add_marker("slow")


SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with full-size golden data; tests that need it are skipped where it is absent."""
    if not (SHARED / "golden").is_dir():
        pytest.skip(
            f"the full-size golden data ({SHARED}) are not here; the small copies in tests/data/official are tested"
        )
    return SHARED


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes, three pictures, and two files that are none."""
    rng = np.random.default_rng(0)
    for name in ("cat/1.png", "cat/10.png", "dog/2.jpg"):
        (tmp_path / "val" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / "val" / name)
    (tmp_path / "val" / "cat" / "2.png").write_bytes(b"broken")
    (tmp_path / "val" / "cat" / "notes.txt").write_text("no picture")
    return tmp_path


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Three pictures of which the second cannot be read."""
    jpegs = []
    for shade in (0, 255):
        stream = io.BytesIO()
        Image.fromarray(np.full((32, 32, 3), shade, np.uint8)).save(stream, "JPEG")
        jpegs.append(stream.getvalue())
    jpegs.insert(1, b"broken")
    path = tmp_path / "pack.h5"
    with h5py.File(path, "w") as file:
        file.attrs["classes"] = list(CIFAR10)
        file["test/jpeg"] = np.frombuffer(b"".join(jpegs), np.uint8)
        file["test/offset"] = np.cumsum([0, *map(len, jpegs)])
        file["test/label"] = np.array([3, 4, 5], np.uint8)
        file["train/label"] = np.zeros(0, np.uint8)
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save(tmp_path / "w.h5")


@pytest.fixture
def digit(tmp_path: Path) -> Path:
    path = tmp_path / "digit"  # no ending: the content tells
    path.write_bytes(camera_bytes.nmnist(some_events()))
    return path


@pytest.fixture
def drawing() -> Any:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[report]'")
    from sdt_ref.drawing import attention

    return attention
