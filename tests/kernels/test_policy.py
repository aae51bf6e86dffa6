"""Compiled kernels are kept, wherever anything can be written, and are never older than their source."""

import hashlib
import itertools
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numba
import pytest

import sdt_ref
from sdt_ref.kernels import policy

NOWHERE = "/proc/nowhere"  # not even root can write there
NOTICE = "compiling kernels for float32, which are kept"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux")]


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    return {**kept, **changes}


def infer(*more: str, full: bool = False, **changes: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "sdt_ref.infer", "--json", *more], env=environment(**changes), capture_output=True,
        text=True, check=False, timeout=600, preexec_fn=no_large_files if full else None,
    )  # fmt: skip


def no_large_files() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


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


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: os.truncate(file, 0),
    "cut in the checksum": lambda file: os.truncate(file, 10),
    "cut": lambda file: os.truncate(file, file.stat().st_size - 1),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"0"),
    "a byte changed in the checksum": lambda file: flip(file, 0),
    "a byte changed in the code": lambda file: flip(file, -1000),
    "other code behind its own checksum": lambda file: file.write_bytes(sealed(file, pickle.dumps((1, 2)))),
    "no code behind its own checksum": lambda file: file.write_bytes(sealed(file, b"code")),
    "another kernel": lambda file: shutil.copyfile(
        next(f for f in file.parent.iterdir() if f.is_file() and f != file), file
    ),
    "a folder": lambda file: (file.unlink(), (file / "in").mkdir(parents=True)),
}


def flip(file: Path, position: int) -> None:
    whole = bytearray(file.read_bytes())
    whole[position] ^= 1
    file.write_bytes(whole)


def sealed(file: Path, code: bytes) -> bytes:
    return hashlib.sha256(file.name.encode() + code).digest() + code


def doubled(x: float) -> float:
    return 2 * x


def tripled(x: float) -> float:
    return 3 * x


def computed(function: Callable[[float], float]) -> tuple[float, int]:
    """What a kernel computes, compiled or loaded anew; how many signatures were loaded."""
    compiled = policy.kernel(function)
    return compiled(1.0), sum(compiled.stats.cache_hits.values())


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a compiled kernel, beside that of another one."""
    monkeypatch.setattr(policy, "cache_folder", lambda: tmp_path)
    for function, value in ((doubled, 2), (tripled, 3)):
        assert [computed(function) for _ in range(2)] == [(value, 0), (value, 1)]
    (file,) = tmp_path.glob("*doubled*")
    return file


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_kernel_heals(kept: Path, damage: str) -> None:
    DAMAGES[damage](kept)
    assert [computed(doubled) for _ in range(2)] == [(2, 0), (2, 1)]
    assert computed(tripled) == (3, 1)
    assert len(list(kept.parent.iterdir())) == 2


def test_no_changed_byte_is_run(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound, loaded = kept.read_bytes(), list[int]()
    monkeypatch.setattr(policy.CompileResult, "_rebuild", lambda *_: loaded.append(1))
    compiled = policy.kernel(doubled)
    signature, context = (numba.float64,), compiled.targetctx
    compiled._cache.load_overload(signature, context)
    assert loaded == [1]
    for position in range(0, len(sound), 101):
        changed = bytearray(sound)
        changed[position] ^= 1 << position % 8
        kept.write_bytes(changed)
        assert compiled._cache.load_overload(signature, context) is None
    assert loaded == [1]


def test_a_damaged_cache_heals(first: tuple[Path, str], tmp_path: Path) -> None:
    """Every file in another way: once for the command, and once for the package."""
    place, _ = first
    shutil.copytree(place / f"sdt_ref-{os.getuid()}", tmp_path / "sdt_ref")
    places = {"NUMBA_CACHE_DIR": str(tmp_path)}
    sound = infer(**places)
    assert (sound.returncode, NOTICE in sound.stderr) == (0, False)

    def damage_all() -> None:
        files = sorted(file for file in tmp_path.rglob("*.nbc") if file.stat().st_size)
        for file, damage in zip(files, itertools.cycle(list(DAMAGES.values())[::-1])):
            damage(file)

    damage_all()
    healed, after = infer(**places), infer(**places)
    assert healed.stderr.startswith(NOTICE)
    assert (after.stderr, answer(healed), answer(after)) == ("", answer(sound), answer(sound))
    damage_all()
    assert pool("sdt_ref", tmp_path, **places) == "0"


def answer(done: "subprocess.CompletedProcess[str]") -> object:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["logits"]


def test_a_full_disk_keeps_nothing_and_runs(first: tuple[Path, str], tmp_path: Path) -> None:
    """A limit on the size of files stands for it: unlike a small disk, anybody can set one."""
    place, _ = first
    sound = infer(HOME=NOWHERE, XDG_CACHE_HOME=NOWHERE, TMPDIR=str(place))
    places = {"XDG_CACHE_HOME": str(tmp_path)}
    full = infer(full=True, **places)
    assert answer(full) == answer(sound)
    told = full.stderr.splitlines()
    assert told[0].startswith(NOTICE)
    assert told[1].startswith(f"they are not kept: cannot write '{tmp_path}")
    assert "File too large; make room" in told[1]
    assert len(told) == 2
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
    assert pool("sdt_ref", tmp_path, full=True, **places) == "0"


POOL = """
import numpy as np
from {}.kernels import pool3x3
pooled = np.zeros(9, np.uint16)
pool3x3(np.array([0, 1]), np.zeros(1, np.uint16), 1, 1, 1, 0, 1, np.zeros(1, np.uint64), pooled, np.zeros(1, np.int64))
print(pooled[0])
"""


def pool(package: str, folder: Path, full: bool = False, **places: str) -> str:
    """What one kernel of a package computes in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", POOL.format(package)], cwd=folder, env=environment(**places),
        capture_output=True, text=True, check=True, timeout=600, preexec_fn=no_large_files if full else None,
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
