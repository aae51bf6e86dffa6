"""A trace that many tests read, written once."""

import shutil
from pathlib import Path

import pytest

from sdt_ref.weights.file import save
from tests.golden.test_trace import NARROW, PLAIN, traced
from tests.networks import weights_of


@pytest.fixture(scope="session")
def written_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    save(folder / "w.h5", weights_of(PLAIN))
    return traced(folder, PLAIN, NARROW)


@pytest.fixture
def golden(written_once: Path, tmp_path: Path) -> Path:
    """A copy of the trace of a small network whose registers overflow, and its weights beside it."""
    for path in written_once.parent.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / written_once.name
