"""The chunks of a job on dask.distributed: the same bytes whatever happens to workers; and what is refused, in one line."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from sdt_ref import evaluate
from sdt_ref.errors import ConfigError, FormatError
from sdt_ref.inputs.selection import Selection
from sdt_ref.jobs import cluster as module
from sdt_ref.jobs import connecting
from sdt_ref.jobs.at_worker import packed
from sdt_ref.jobs.cluster import Cluster, cluster
from sdt_ref.jobs.identity import code_digest
from sdt_ref.jobs.job import Job, Part, chunks_of
from sdt_ref.jobs.running import ThisProcess, parts
from sdt_ref.measuring.accuracy import Classify
from sdt_ref.weights import file as weights_file
from tests import processes
from tests.networks import Network, weights_of
from tests.recordings import gesture_folder

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
N = 40  # pictures, of which one cannot be read
LONGEST = 120  # seconds for what must happen at all; machines may be busy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights and a pack."""
    made = tmp_path_factory.mktemp("cluster")
    weights_file.save(made / "w.h5", weights_of(Network()))
    write_pack(made / "pack.h5", 0)
    return made


def write_pack(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pictures = [b"broken" if k == 5 else png(rng.integers(0, 256, (8, 8, 3), np.uint8)) for k in range(N)]
    with h5py.File(path, "w") as file:
        file.attrs["classes"] = [f"class {k}" for k in range(5)]
        file["test/jpeg"] = np.frombuffer(b"".join(pictures), np.uint8)
        file["test/offset"] = np.cumsum([0, *map(len, pictures)])
        file["test/label"] = rng.integers(0, 5, N).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def job_of(folder: Path, task: Any = None, data: str | None = None) -> Job:
    weights = weights_file.load(folder / "w.h5")
    return Job(
        task or Classify(), weights, Selection((data or str(folder / "pack.h5"),), False, classes=weights.classes)
    )


def content(parts_of: Iterator[tuple[range, Part]]) -> list[bytes]:
    return [part.to_bytes() for _, part in parts_of]


def alone(job: Job, size: int) -> list[bytes]:
    data = job.selection.open()
    return content(parts(ThisProcess(job, data, 1), len(data), None, size))


def apart(workers: Cluster, size: int) -> list[bytes]:
    return content(parts(workers, N, None, size))


@dataclass(frozen=True)
class Sleeping:
    """A task that sleeps where a file is, and else classifies; or that fails."""

    file: str = ""
    fails: str = ""

    def settings(self) -> dict[str, Any]:
        return {}

    def prepare(self, weights: Any, threads: int | None) -> Any:
        if self.fails:
            raise {"FormatError": FormatError("too\nwide"), "MemoryError": MemoryError()}[self.fails]
        ready = Classify().prepare(weights, threads)

        def compute(items: Any) -> Part:
            while os.path.exists(self.file):
                time.sleep(0.05)
            return ready(items)

        return compute


def pids(workers: Cluster) -> list[int]:
    return list(workers._client.run(os.getpid).values())


def wait_until(seen: Callable[[], Any]) -> Any:
    end = time.monotonic() + LONGEST
    while not (found := seen()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)
    return found


# --- processes here


@pytest.fixture
def client() -> Iterator[Any]:
    """A client of two processes, started anew: a nanny does not survive everything that is done to its worker here."""
    with connecting.local(2, 1) as found:
        yield found


def on(client: Any, job: Job, time_limit: float = LONGEST) -> Cluster:
    return Cluster(client, job, job.selection.open(), None, time_limit)


def test_the_same_bytes_for_any_chunk_size_and_two_processes_that_are_not_the_client(client: Any, folder: Path) -> None:
    job = job_of(folder)
    for size in (1, 7, N):
        workers = on(client, job)
        assert apart(workers, size) == alone(job, size)
        assert workers.by_worker.total() == N
        assert size > 1 or len(workers.by_worker) == 2
    assert os.getpid() not in pids(workers)
    assert len(set(pids(workers))) == 2


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_that_is_killed_or_hangs_changes_no_bit(client: Any, folder: Path, end: signal.Signals) -> None:
    job, found = job_of(folder), []
    apart(on(client, job), 1)  # kernels are loaded
    workers = on(client, job, LONGEST if end == signal.SIGKILL else 8)
    first = pids(workers)
    for _, part in parts(workers, N, None, 1):
        found.append(part.to_bytes())
        if len(found) == 3:
            os.kill(first[0], end)
    assert found == alone(job, 1)
    wait_until(lambda: not is_there(first[0]))  # its nanny has restarted it


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_chunk_that_is_too_long_for_every_worker_is_refused(
    client: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_TRIES", 2)
    (tmp_path / "sleep").touch()
    workers = on(client, job_of(folder, Sleeping(str(tmp_path / "sleep"))), 1)
    with pytest.raises(ConfigError, match=r"samples 0 to 39: expected .* within 1 s, found 2 that took longer"):
        apart(workers, N)
    (tmp_path / "sleep").unlink()


@pytest.mark.parametrize(("name", "kind"), [("FormatError", FormatError), ("MemoryError", MemoryError)])
def test_errors_of_the_task_arrive_as_they_were_raised(
    client: Any, folder: Path, name: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind) as caught:
        apart(on(client, job_of(folder, Sleeping(fails=name))), N)
    assert type(caught.value) is kind
    assert name == "MemoryError" or str(caught.value) == "too wide"


def test_few_chunks_are_taken_ahead_of_those_that_are_done(client: Any, folder: Path) -> None:
    taken = []

    def chunks() -> Iterator[range]:
        for chunk in chunks_of(N, [], 1):
            taken.append(chunk)
            yield chunk

    for number, _ in enumerate(on(client, job_of(folder)).compute(chunks())):
        assert len(taken) <= number + module.AHEAD * 2


def test_weights_travel_once_to_each_worker(client: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job, sent = job_of(folder), []
    send = Cluster._send_weights
    monkeypatch.setattr(Cluster, "_send_weights", lambda self, to: (sent.extend(to), send(self, to)))
    workers = on(client, job)
    apart(workers, 1)
    addresses = list(workers.by_worker)
    os.kill(killed := pids(workers)[0], signal.SIGKILL)
    wait_until(lambda: len(now := client.run(os.getpid, on_error="ignore")) == 2 and killed not in now.values())
    apart(workers, 1)
    assert sorted(sent[:2]) == sorted(addresses)
    assert len(sent) == len(set(sent)) == 3


def test_evaluate_says_how_many_images_each_worker_computed(folder: Path) -> None:
    evaluated = processes.module(*EVALUATE, "--json", cwd=folder)
    apart = processes.module(*EVALUATE, "--json", "--workers", "2", cwd=folder)
    assert (evaluated.returncode, apart.returncode, apart.stderr) == (1, 1, "")
    expected, found = json.loads(evaluated.stdout), json.loads(apart.stdout)
    assert len(workers := found.pop("workers")) == 2
    assert sum(workers.values()) == N
    assert {**found, "seconds": 0} == {**expected, "seconds": 0}


EVALUATE = ("sdt_ref.evaluate", "pack.h5", "--weights", "w.h5", "--chunk", "2")


PAUSED = """
import signal, sys
from sdt_ref import evaluate, interrupt
from sdt_ref.jobs.cluster import Cluster

if __name__ == "__main__":  # as where it is started as a command
    signal.signal(signal.SIGINT, interrupt.end)
    signal.signal(signal.SIGTERM, interrupt.end)

def taken(self, future, taken=Cluster._taken):
    print("computing", flush=True)
    sys.stdin.readline()
    return taken(self, future)

Cluster._taken = taken
sys.exit(evaluate.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_the_client(folder: Path, tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PAUSED, *EVALUATE[1:], "--workers", "2"],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # its processes are the group
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "computing\n"
    assert sum(path.is_dir() for path in tmp_path.glob("sdt_ref-*/*/worker-*")) == 2
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    _, said = process.communicate(timeout=LONGEST)  # which is when no process is left that could write there
    begin = {signal.SIGINT: "interrupted after ", signal.SIGTERM: "terminated after ", signal.SIGKILL: ""}[number]
    assert said.startswith(begin)
    assert said.count("\n") == bool(begin)
    assert not begin or not os.listdir(tmp_path)


# --- a scheduler and workers, started by their commands


@contextmanager
def started(*arguments: str, **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """`dask scheduler` or `dask worker`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **options,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A scheduler's address."""
    told = folder / "scheduler.json"
    told.unlink(missing_ok=True)
    command = ("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(told))
    with started(*command, cwd=folder) as process:
        wait_until(lambda: told.exists() and told.read_text().endswith("}"))
        yield json.loads(told.read_text())["address"], process


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with scheduler(tmp_path_factory.mktemp("scheduler")) as (found, _):
        yield found


@contextmanager
def worker(address: str, cwd: Path, *arguments: str, path: Sequence[Path] = (ROOT,)) -> Iterator[Any]:
    """A worker, once the scheduler knows it; `path` is where it finds packages."""
    import distributed

    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    with ExitStack() as stack:
        client = stack.enter_context(distributed.Client(address, set_as_default=False))
        before = len(client.scheduler_info()["workers"])
        options = ("--nworkers", "1", "--nthreads", "1", "--local-directory", str(cwd), *arguments)
        process = stack.enter_context(started("worker", address, *options, cwd=cwd, env=env))
        wait_until(lambda: len(client.scheduler_info()["workers"]) > before)
        yield process
        stack.pop_all().close()
    with distributed.Client(address, set_as_default=False) as client:
        wait_until(lambda: len(client.scheduler_info()["workers"]) <= before)


def test_evaluate_on_a_scheduler_with_data_that_are_read_there_or_sent(
    address: str, folder: Path, tmp_path: Path
) -> None:
    job = job_of(folder)
    here = processes.module(*EVALUATE, "--json", cwd=folder)
    with worker(address, tmp_path, "--nthreads", "2"):  # which does not see the relative path
        with cluster(job, job.selection.open(), address) as workers:
            assert apart(workers, 3) == alone(job, 3)
            assert not workers._sends
        env = {**os.environ, "DASK_SCHEDULER_ADDRESS": address}
        for how in ({"env": env}, {}):
            asked = () if how else ("--scheduler", address)
            found = processes.module(*EVALUATE, "--json", *asked, cwd=folder, **how)
            assert (found.returncode, found.stderr) == (1, "")
            by_worker = json.loads(found.stdout).pop("workers")
            assert list(by_worker.values()) == [N]
            same = {key: value for key, value in json.loads(found.stdout).items() if key not in ("workers", "seconds")}
            assert same.items() <= json.loads(here.stdout).items()
        write_pack(tmp_path / "pack.h5", 1)  # now it sees other data
        found = processes.module(*EVALUATE, "--scheduler", address, cwd=folder)
        assert found.returncode == 2
        assert found.stderr.startswith("error: worker tcp://127.0.0.1:")
        assert "sample 'test/0'" in found.stderr or "sample " in found.stderr
        assert found.stderr.count("\n") == 1


def test_a_worker_without_a_nanny_that_hangs_is_left(address: str, folder: Path, tmp_path: Path) -> None:
    job = job_of(folder)
    with worker(address, tmp_path, "--no-nanny") as hanging, worker(address, tmp_path):
        with cluster(job, job.selection.open(), address, time_limit=8) as workers:
            found = []
            for _, part in parts(workers, N, None, 1):
                found.append(part.to_bytes())
                if len(found) == 3:
                    hanging.send_signal(signal.SIGSTOP)
            assert found == alone(job, 1)
        hanging.kill()


BLOCKED = "import sys; sys.modules['sdt_ref'] = None"
OTHER_NUMPY = "import numpy; numpy.__version__ = '2.0.99'"


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        (BLOCKED, r"expected sdt_ref 0\.1\.0, found that it cannot be imported .*pip install '\.\[cluster\]'"),
        (OTHER_NUMPY, rf"expected NumPy {np.__version__}, as the client has, found 2\.0\.99"),
        ("", rf"expected code of sdt_ref {code_digest()}, as the client has, found [0-9a-f]{{64}};"),
    ],
)  # fmt: skip
def test_a_worker_with_another_package_is_refused(
    address: str, folder: Path, tmp_path: Path, site: str, expected: str
) -> None:
    copy_of_package(tmp_path, site)
    job = job_of(folder)
    with (
        worker(address, tmp_path, path=(tmp_path,)),
        pytest.raises(ConfigError, match=rf"^worker tcp://127\.0\.0\.1:\d+: {expected}"),
        cluster(job, job.selection.open(), address),
    ):
        pass


def copy_of_package(to: Path, site: str) -> None:
    """The package with another comment, or with a `sitecustomize`."""
    shutil.copytree(ROOT / "sdt_ref", to / "sdt_ref", ignore=shutil.ignore_patterns("__pycache__", "page"))
    shutil.copytree(ROOT / "sdt_ref" / "page", to / "sdt_ref" / "page")
    shutil.rmtree(to / "sdt_ref" / "page" / "__pycache__", ignore_errors=True)
    if site:
        (to / "sitecustomize.py").write_text(site)
    else:
        with (to / "sdt_ref" / "errors.py").open("a") as source:
            source.write("# another version\n")


def test_a_worker_with_other_code_that_joins_late_is_refused(address: str, folder: Path, tmp_path: Path) -> None:
    copy_of_package(other := tmp_path / "other", "")
    job = job_of(folder)
    with worker(address, tmp_path), cluster(job, job.selection.open(), address) as workers:
        computed = workers.compute(chunks_of(N, [], 1))
        next(computed)
        with (
            worker(address, other, path=(other,)),
            pytest.raises(ConfigError, match=r"expected code of sdt_ref .*, as the client has, found"),
        ):
            wait_until(lambda: next(computed, None) is None)


def test_a_scheduler_that_is_lost_is_one_line(folder: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        address, process = stack.enter_context(scheduler(tmp_path))
        options = ("--nworkers", "1", "--nthreads", "1", "--local-directory", str(tmp_path))
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        stack.enter_context(started("worker", address, *options, env=env))
        running = subprocess.Popen(
            [sys.executable, "-c", PAUSED, *EVALUATE[1:], "--scheduler", address],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert running.stdout is not None
        assert running.stdout.readline() == "computing\n"
        process.kill()
        process.wait()
        _, said = running.communicate("\n" * 1000, timeout=LONGEST)
    assert running.returncode == 2
    assert said.startswith(f"error: scheduler '{address}': expected that it answers, found it lost")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:1", "nonsense", "tls://127.0.0.1:1", "tcp://no.such.host.invalid:8786", "foo://x:1"]
)
def test_no_scheduler_there_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, address: str, capfd: Any
) -> None:
    monkeypatch.setattr(connecting, "CONNECT", 0.5)
    monkeypatch.chdir(folder)
    assert evaluate.main([*EVALUATE[1:], "--scheduler", address]) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"error: scheduler '{address}': expected one that answers within ")
    assert said.count("\n") == 1


def test_a_scheduler_without_workers_is_one_line(address: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "CONNECT", 2)
    job = job_of(folder)
    with (
        pytest.raises(ConfigError, match="expected a worker, found none within 2 s"),
        cluster(job, job.selection.open(), address),
    ):
        pass


# --- options, and what is sent


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--workers 2 --scheduler tcp://127.0.0.1:1", "error: expected --workers, for processes here, or --scheduler"),
        ("--workers 0", "error: --workers: expected 1 to 1024, found 0"),
        ("--time-limit 0", "error: --time-limit: expected seconds above 0, up to 1,000,000, found 0.0"),
        ("--time-limit nan", "error: --time-limit: expected seconds above 0"),
        ("--time-limit x", "sdt-ref evaluate: error: argument --time-limit: expected a number of seconds, found 'x'"),
    ],
)  # fmt: skip
def test_options_that_are_refused(folder: Path, options: str, expected: str, capsys: Any) -> None:
    code: Any
    try:
        code = evaluate.main([str(folder / "pack.h5"), *options.split()])
    except SystemExit as left:
        code = left.code
    assert code == 2
    assert capsys.readouterr().err.startswith(expected)


def test_without_dask_the_extra_is_named_and_all_else_works(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.chdir(folder)
    assert evaluate.main([*EVALUATE[1:], "--workers", "2"]) == 2
    assert (
        capsys.readouterr().err
        == f"error: --workers and --scheduler need dask.distributed; install it, {connecting.EXTRA}\n"
    )
    assert evaluate.main([*EVALUATE[1:]]) == 1


def test_dask_is_imported_when_it_is_asked_for() -> None:
    code = "import sys, sdt_ref.evaluate; sys.exit('distributed' in sys.modules or 'dask' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_files_are_sent_with_their_bytes_and_trials_are_not(tree: Path, tmp_path: Path) -> None:
    names = ("cat", "dog")
    sent = packed(Selection((str(tree),), False, "val", classes=names).open().items(range(4)))
    assert [(name, content, label) for name, content, _, label in sent] == [
        (name, (tree / "val" / name).read_bytes(), label)
        for name, label in (("cat/1.png", 0), ("cat/2.png", 0), ("cat/10.png", 0), ("dog/2.jpg", 1))
    ]
    assert sent[0][2] == str(tree / "val" / "cat" / "1.png")
    gestures = tmp_path / "gestures"
    gestures.mkdir()
    trials = Selection((str(gesture_folder(gestures)),), True, classes=tuple(f"{k}" for k in range(11))).open()
    with pytest.raises(ConfigError, match="expected workers that read it where it lies"):
        packed(trials.items(range(1)))
