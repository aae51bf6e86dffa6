"""Compiled kernels are kept, wherever anything can be written, and are never older than their source."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sdt_ref
from sdt_ref.kernels import policy

NOWHERE = "/proc/nowhere"  # not even root can write there
NOTICE = "compiling kernels for float32, which are kept"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux")]


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    return {**kept, **changes}


def infer(*more: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "sdt_ref.infer", "--json", *more]
    return subprocess.run(command, env=environment(**changes), capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of temporary files of a very first run, and what it said: it compiled all that it needs."""
    folder = tmp_path_factory.mktemp("first")
    done = infer(HOME=NOWHERE, XDG_CACHE_HOME=NOWHERE, TMPDIR=str(folder))
    assert done.returncode == 0, done.stderr
    return folder, done.stderr


def test_kernels_are_kept_where_neither_home_nor_package_can_be_written(first: tuple[Path, str]) -> None:
    place, told = first
    assert NOTICE in told
    (folder,) = place.iterdir()
    assert folder.name == f"sdt_ref-{os.getuid()}"
    assert folder.stat().st_mode & 0o077 == 0  # compiled code is nobody else's to write
    compiled = sorted(folder.rglob("*.nbc"))
    for more in ([], ["--weights", "sdt-2-64-nmnist"]):
        later = infer(*more, HOME=NOWHERE, XDG_CACHE_HOME=NOWHERE, TMPDIR=str(place))
        assert later.returncode == 0, later.stderr
        assert NOTICE not in later.stderr
    assert sorted(folder.rglob("*.nbc")) == compiled


def test_a_first_run_compiles_what_its_arithmetic_needs_and_no_more(first: tuple[Path, str]) -> None:
    """So a newcomer waits once: not for fixed point, and not again for recordings, the walk or the report."""
    place, _ = first
    assert {path.name.split("-")[0] for path in place.rglob("*.nbc")} == {
        "accumulate.add_rows",
        "analog.conv3x3_analog",
        "analog.max_pool3x3",
        "attention.intersect",
        "attention.spread_tokens",
        "attention.sum_tokens",
        "bitset.contains",
        "bitset.drain",
        "bitset.insert",
        "lif.lif_steps",
        "lif.list_events",
        "pooling.pool3x3",
    }


def test_damaged_kernels_are_one_line_that_names_the_folder(first: tuple[Path, str], tmp_path: Path) -> None:
    place, _ = first
    shutil.copytree(place / f"sdt_ref-{os.getuid()}", tmp_path / "sdt_ref")
    places = {"NUMBA_CACHE_DIR": str(tmp_path)}
    sound = infer(**places)
    assert (sound.returncode, NOTICE in sound.stderr) == (0, False)
    for index in tmp_path.rglob("*.nbi"):
        os.truncate(index, 10)
    broken = infer(**places)
    assert broken.returncode == 2
    assert broken.stderr.count("\n") == 1
    assert f"the compiled kernels in '{tmp_path}" in broken.stderr
    shutil.rmtree(tmp_path / "sdt_ref")
    assert pool("sdt_ref", tmp_path, **places) == "0"


POOL = """
import numpy as np
from {}.kernels import pool3x3
pooled = np.zeros(9, np.uint16)
pool3x3(np.array([0, 1]), np.zeros(1, np.uint16), 1, 1, 1, 0, 1, np.zeros(1, np.uint64), pooled, np.zeros(1, np.int64))
print(pooled[0])
"""


def pool(package: str, folder: Path, **places: str) -> str:
    """What one kernel of a package computes in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", POOL.format(package)], cwd=folder, env=environment(**places),
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout.strip()  # fmt: skip


def test_a_change_in_a_called_kernel_is_compiled_anew(tmp_path: Path) -> None:
    """Numba alone would not notice: the caller, pool3x3, stands in an unchanged file of unchanged size and time."""
    package = tmp_path / "copied"
    shutil.copytree(Path(sdt_ref.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))

    places = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert pool("copied", tmp_path, **places) == "0"
    bitset = package / "kernels" / "bitset.py"
    changed = bitset.read_text().replace("np.uint64(channel & LOW_SIX_BITS)", "np.uint64(channel + 1)")
    assert changed != bitset.read_text()
    bitset.write_text(changed)
    assert pool("copied", tmp_path, **places) == "1"


def test_a_folder_of_somebody_else_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "_candidate_folders", lambda: [tmp_path / "base"])
    policy.cache_folder.cache_clear()
    try:
        assert policy.cache_folder() is not None
        (tmp_path / "base").chmod(0o777)
        policy.cache_folder.cache_clear()
        assert policy.cache_folder() is None
        (tmp_path / "base").chmod(0o700)
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        policy.cache_folder.cache_clear()
        assert policy.cache_folder() is None
    finally:
        policy.cache_folder.cache_clear()
