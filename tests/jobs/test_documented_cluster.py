"""The commands of docs/cluster.md on this machine: a scheduler, three workers, one of which is killed half-way."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from sdt_ref import evaluate
from tests.jobs.packs import some_pack

Client = pytest.importorskip("distributed").Client
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="POSIX signals")]

ROOT = Path(__file__).parents[2]
IMAGES = 2000
LONGEST = 300  # seconds for what must happen at all
CIFAR = ROOT.parent / "shared" / "data" / "cifar10-jpeg.h5"


@contextmanager
def running(*command: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A command of dask in a group of processes of its own, which ends with this."""
    with subprocess.Popen(
        [sys.executable, "-m", "dask", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if command[0] == "scheduler" else subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            kill(process)


def kill(process: "subprocess.Popen[str]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def address_of(scheduler: "subprocess.Popen[str]") -> str:
    """What the scheduler says where it is reached; what it says later is read, too, so that it can go on."""
    assert scheduler.stderr is not None
    said = iter(scheduler.stderr)
    found = next(match[0] for line in said if (match := re.search(r"tcp://127\.0\.0\.1:\d+", line)))
    threading.Thread(target=lambda: [*said], daemon=True).start()
    return found


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CIFAR-10 where it is; else as many pictures of noise."""
    if CIFAR.exists():
        return CIFAR
    path = tmp_path_factory.mktemp("pack") / "noise.h5"
    some_pack(path, IMAGES, 10)
    return path


def test_2000_images_on_three_workers_of_which_one_is_killed(pack: Path, tmp_path: Path) -> None:
    line = [str(pack), "--limit", str(IMAGES), "-o"]
    code = evaluate.main([*line, str(tmp_path / "alone.npz"), "--json"])
    scheduler = "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"
    with running(*scheduler, folder=tmp_path) as first:
        address = address_of(first)
        worker = "worker", address, "--nworkers", "1", "--nthreads", "1", "--no-dashboard"
        with ExitStack() as stack:
            killed, *_ = [stack.enter_context(running(*worker, folder=tmp_path)) for _ in range(3)]
            with Client(address, set_as_default=False) as watching:
                watching.wait_for_workers(3, timeout=LONGEST)
            client = subprocess.Popen(
                    [sys.executable, "-m", "sdt_ref.evaluate", *line, str(tmp_path / "apart.npz"), "--chunk", "20", "--json",
                     "--scheduler", address],
                    env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                )  # fmt: skip
            parts, end = tmp_path / "apart.npz.parts", time.monotonic() + LONGEST
            while client.poll() is None and len(list(parts.glob("*-*.part"))) < IMAGES // 20 // 2:
                assert time.monotonic() < end, "no chunks arrive"
                time.sleep(0.05)
            assert client.poll() is None
            kill(killed)
            shown, said = client.communicate(timeout=LONGEST)
    assert (client.returncode, said) == (code, "")
    workers = json.loads(shown)["workers"]
    assert len(workers) in (2, 3)  # the one that was killed may have finished none
    assert sum(workers.values()) == IMAGES
    assert (tmp_path / "apart.npz").read_bytes() == (tmp_path / "alone.npz").read_bytes()
    assert not parts.exists()
