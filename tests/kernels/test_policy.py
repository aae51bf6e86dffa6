"""Compiled kernels are kept, wherever anything can be written, and are never older than their source."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sdt_ref
from sdt_ref.kernels import policy

NOWHERE = "/proc/nowhere"  # not even root can write there
NOTICE = "first run with float32: compiling its kernels"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux")


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    return {**kept, **changes}


def infer(**changes: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "sdt_ref.infer", "--json"]
    return subprocess.run(command, env=environment(**changes), capture_output=True, text=True, check=False, timeout=120)


def test_kernels_are_kept_where_neither_home_nor_package_can_be_written(tmp_path: Path) -> None:
    places = {"HOME": NOWHERE, "XDG_CACHE_HOME": NOWHERE, "TMPDIR": str(tmp_path)}
    start = time.perf_counter()
    first = infer(**places)
    assert time.perf_counter() - start < 40  # the very first run, compiling all it needs
    second = infer(**places)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert NOTICE in first.stderr
    assert NOTICE not in second.stderr
    (folder,) = tmp_path.iterdir()
    assert folder.name == f"sdt_ref-{os.getuid()}"
    assert folder.stat().st_mode & 0o077 == 0  # compiled code is nobody else's to write


def test_damaged_kernels_are_one_line_that_names_the_folder(tmp_path: Path) -> None:
    places = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert infer(**places).returncode == 0
    for index in tmp_path.rglob("*.nbi"):
        os.truncate(index, 10)
    broken = infer(**places)
    assert broken.returncode == 2
    assert broken.stderr.count("\n") == 1
    assert f"the compiled kernels in '{tmp_path}" in broken.stderr
    shutil.rmtree(tmp_path / "sdt_ref")
    assert infer(**places).returncode == 0


POOL = """
import numpy as np
from copied.kernels import pool3x3
pooled = np.zeros(9, np.uint16)
pool3x3(np.array([0, 1]), np.zeros(1, np.uint16), 1, 1, 1, 0, 1, np.zeros(1, np.uint64), pooled, np.zeros(1, np.int64))
print(pooled[0])
"""


def test_a_change_in_a_called_kernel_is_compiled_anew(tmp_path: Path) -> None:
    """Numba alone would not notice: the caller, pool3x3, stands in an unchanged file of unchanged size and time."""
    package = tmp_path / "copied"
    shutil.copytree(Path(sdt_ref.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))

    def run() -> str:
        return subprocess.run(
            [sys.executable, "-c", POOL], cwd=tmp_path, env=environment(NUMBA_CACHE_DIR=str(tmp_path / "cache")),
            capture_output=True, text=True, check=True, timeout=120,
        ).stdout.strip()  # fmt: skip

    assert run() == "0"
    bitset = package / "kernels" / "bitset.py"
    changed = bitset.read_text().replace("np.uint64(channel & LOW_SIX_BITS)", "np.uint64(channel + 1)")
    assert changed != bitset.read_text()
    bitset.write_text(changed)
    assert run() == "1"


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
