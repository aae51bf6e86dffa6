"""The fuzzer finds what is planted, and says which input it was; and its fixed campaign finds nothing."""

import gc
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest

import sdt_ref.compare
from tests.camera_bytes import listed
from tests.fuzz import campaign, child, commands, plain, seeds, signing
from tests.fuzz.case import CHANGED, GRAMMARS, SAME, Case, Done, make
from tests.fuzz.grammars import checkpoints, packs, recordings, weights
from tests.fuzz.judging import ACCEPTED, FAILED, REFUSED, judge

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="forks and /proc are Linux's")
SEED, INPUTS = 17, 1500  # about two minutes of two cores
BAD = 3  # the input that is planted on
REFUSES = "print('error: no', file=sys.stderr) or 2"


def planted(_: random.Random, folder: Path) -> Case:
    """A file that names its input."""
    commands.put(folder, "number", folder.parent.name.rpartition("-")[2].encode())
    return Case("planted", ["compare"], unchanged, ("out",), memory=64)


def unchanged(folder: Path, done: Done) -> str:
    """A plain reading."""
    return SAME if done.out in ("", (folder / "number").read_text()) else "another number"


def _hang() -> int:
    while True:
        pass


def _leak() -> int:
    kept = bytearray(100 << 20)
    kept[::4096] = bytes(len(kept[::4096]))
    return 0


def _leave() -> int:
    Path("o.part").write_text("half")
    print("error: no", file=sys.stderr)
    return 2


def _replace() -> int:
    Path("number").write_text("lost")
    print("error: no", file=sys.stderr)
    return 2


def _program() -> int:
    subprocess.Popen(["sleep", "60"])
    return 0


def _warn() -> int:
    warnings.warn("divided by zero", RuntimeWarning, stacklevel=1)
    return 0


class Last:
    """Complains when it is collected."""

    def __del__(self) -> None:
        raise OSError("late")


def _late() -> int:
    made: list[Any] = [Last()]
    made.append(made)
    return 0


PLANTED = {
    "a traceback": (lambda: 1 // 0, "exit code 1: Traceback (most recent: ZeroDivisionError"),
    "a hang": (_hang, "no end after 5 s"),
    "a crash": (os.abort, "ended by SIGABRT"),
    "an end without a word": (lambda: os._exit(2), "the process ended with 2"),
    "too much memory": (_leak, "memory: more than 64 MiB"),
    "a claim beyond the limit": (lambda: len(bytearray(5 << 30)), "MemoryError"),
    "a silent change": (lambda: print("9", end="") or 0, "oracle: another number"),
    "a file that is left": (_leave, "left behind: o.part (new)"),
    "a file that is lost": (_replace, "left behind: number (changed)"),
    "a program that is left": (_program, "a process of its own was left"),
    "a warning": (_warn, "RuntimeWarning: divided by zero"),
    "a late complaint": (_late, "Exception ignored"),
    "two lines": (lambda: print("error: a\nb", file=sys.stderr) or 2, "refused in 2 lines"),
    "a control character": (lambda: print("error: \x1b[1m", file=sys.stderr) or 2, "control characters"),
    "a book": (lambda: print("error: " + "a" * 2000, file=sys.stderr) or 2, "more than 1000 characters"),
    "an answer beside a refusal": (lambda: print("0") or print("error: a", file=sys.stderr) or 2, "standard output"),
    "a quiet refusal": (lambda: 2, "refused in 0 lines"),
    "another exit code": (lambda: 3, "exit code 3"),
}


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make `compare` do something on one input, and refuse all others."""

    def into(does: Any) -> None:
        def main(argv: object) -> int:
            if Path("number").read_text() == str(BAD):
                return int(does())
            print("error: no", file=sys.stderr)
            return 2

        monkeypatch.setattr(sdt_ref.compare, "main", main)

    module = type(sys)("tests.fuzz.grammars.planted")
    module.make = planted
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield into
    gc.unfreeze()


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found(tmp_path: Path, plant: Any, name: str) -> None:
    does, why = PLANTED[name]
    plant(does)
    report = campaign.run(["planted"], 0, tmp_path / "kept", most=6, limit=5.0 if does is _hang else 20.0)
    (failure,) = report.failures
    assert (failure.grammar, failure.kind, failure.number) == ("planted", "planted", BAD)
    assert why in failure.why
    assert report.rows["planted", "planted"].counts == {REFUSED: 5, FAILED: 1}
    assert (failure.folder / child.FILES / "number").read_text() in (str(BAD), "lost")
    assert child.FILES in {path.name for path in failure.folder.iterdir()}


@pytest.mark.slow
def test_a_kept_input_fails_again(tmp_path: Path, plant: Any) -> None:
    plant(lambda: 1 // 0)
    (failure,) = campaign.run(["planted"], 0, tmp_path / "kept", most=4).failures
    again = campaign.run_again(failure.folder)
    assert (again["outcome"], again["why"]) == (FAILED, failure.why)
    assert "ZeroDivisionError" in again["stderr"]
    plant(lambda: 0)
    assert campaign.run_again(failure.folder)["outcome"] == ACCEPTED


@pytest.mark.slow
def test_it_is_the_input_that_decides(tmp_path: Path) -> None:
    """The same seed makes the same files and command line, in any order; another seed others."""

    def made(seed: int, grammar: str, number: int, name: str) -> tuple[Any, ...]:
        folder = tmp_path / name / child.FILES
        folder.mkdir(parents=True)
        case = make(grammar, seed, number, folder)
        return case.argv, {
            path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()
        }

    for grammar in ("formats", "settings", "checkpoints", "labels", "pictures"):
        first, second = made(1, grammar, 5, f"{grammar}-a"), made(1, grammar, 6, f"{grammar}-b")
        assert made(1, grammar, 5, f"{grammar}-c") == first != second
        assert made(2, grammar, 5, f"{grammar}-d") != first


def test_a_trace_is_signed_as_it_was_written(tmp_path: Path) -> None:
    commands.put(tmp_path, "t.h5", seeds.trace())
    with h5py.File(tmp_path / "t.h5", "r+") as file:
        written = bytes(file.attrs["sha256"])
        file.attrs["sha256"] = b"0" * 64
    assert signing.sign(tmp_path / "t.h5")
    with h5py.File(tmp_path / "t.h5") as file:
        assert bytes(file.attrs["sha256"]) == written


def test_what_is_an_answer() -> None:
    compared = Case("", ["compare", "a", "b"])
    assert judge(compared, Done(1, "1 differs\n", "")) == (ACCEPTED, "")
    assert judge(compared, Done(2, "", "error: no\n")) == (REFUSED, "")
    assert judge(compared, Done(2, "", "sdt-ref compare: error: no; see --help\n")) == (REFUSED, "")
    assert judge(Case("", ["energy"]), Done(2, "", "unreadable a: b\nerror: no\n")) == (REFUSED, "")
    assert judge(compared, Done(2, "", "unreadable a: b\nerror: no\n"))[0] == FAILED
    assert judge(Case("", ["infer"]), Done(1, "", ""))[0] == FAILED
    assert judge(Case("", ["infer", "--json"]), Done(0, '{"a": NaN}', ""))[0] == FAILED
    assert judge(Case("", ["trace"], outputs=("o.h5",)), Done(0, "", "", left={"o.h5": "new"})) == (ACCEPTED, "")
    assert judge(Case("", ["trace"], outputs=("o.h5",)), Done(0, "", "", left={"o.h5.x.part": "new"}))[0] == FAILED


# --- oracles: each agrees with a sound file, and sees one other number ------------------------------------------------


def asked(folder: Path, oracle: Any, done: Done, *argv: str) -> str:
    (folder.parent / child.CASE).write_text(Case("", ["compare", *argv]).to_json())
    return oracle(folder, done)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / child.FILES).mkdir()
    return tmp_path / child.FILES


EQUAL = Done(0, "all equal", "")
DUMPS = {"u.npz": seeds.dump_npz, "u.h5": seeds.dump_h5, "u.csv": seeds.dump_csv, "s.csv": lambda: seeds.dump_csv("/spikes"),
         "u.mem": seeds.dump_mem, "t2.h5": seeds.trace}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", DUMPS)
def test_the_oracle_of_compare(files: Path, name: str) -> None:
    commands.put(files, "t.h5", seeds.trace("fixed", seeds.ALL))
    commands.put(files, name, DUMPS[name]())
    assert asked(files, plain.equal, EQUAL, "t.h5", name) == SAME
    record = next(iter(plain.read(files / name)))
    with h5py.File(files / "t.h5", "r+") as file:
        node = file[f"records/{record}"]
        array = node["channels"] if isinstance(node, h5py.Group) else node
        values = array[()]
        values.reshape(-1)[0] ^= 1
        array[...] = values
    assert "is not" in asked(files, plain.equal, EQUAL, "t.h5", name)
    assert asked(files, plain.equal, Done(1, "1 differ", ""), "t.h5", name) == SAME


@pytest.mark.parametrize(("content", "said"), [(seeds.weights, "checksum"), (seeds.weights_of_version_1, CHANGED)])
def test_the_oracle_of_weights(files: Path, content: Any, said: str) -> None:
    commands.put(files, "w.h5", content())
    assert weights.unchanged(files, Done(0, "", "")) == SAME
    with h5py.File(files / "w.h5", "r+") as file:
        file.attrs["schema_version"] = 1 if content is seeds.weights_of_version_1 else 2
        file["weights/head/bias"][0] += 1
    assert said in weights.unchanged(files, Done(0, "", ""))


@pytest.mark.parametrize("form", ["zip", "safetensors"])
def test_the_oracle_of_checkpoints(files: Path, form: str) -> None:
    commands.put(files, checkpoints.NAME, seeds.checkpoint(form))
    commands.put(files, "o.h5", seeds.weights())
    assert checkpoints.same_tensors(files, Done(0, "", "")) == SAME
    with h5py.File(files / "o.h5", "r+") as file:
        file["weights/head/bias"][0] += 1
    assert "head.bias" in checkpoints.same_tensors(files, Done(0, "", ""))


def test_the_oracle_of_packs(files: Path) -> None:
    commands.put(files, packs.NAME, seeds.pack())
    assert packs.all_counted(files, Done(0, '{"images": 2, "unreadable": [1]}', "")) == SAME
    assert "2 of [3]" in packs.all_counted(files, Done(0, '{"images": 2, "unreadable": []}', ""))


@pytest.mark.parametrize("kind", recordings.PLAIN)
def test_the_oracle_of_recordings(files: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    commands.put(files, recordings.NAME, seeds.recording(kind))
    assert recordings.plain_words(files, Done(0, "", "")) == SAME
    monkeypatch.setattr(recordings, "listed", lambda recording: listed(recording)[1:])
    assert "other events" in recordings.plain_words(files, Done(0, "", ""))


@pytest.mark.campaign
def test_a_campaign_finds_nothing(tmp_path: Path) -> None:
    """In a process of its own, which has no threads of the test runner."""
    command = [
        sys.executable,
        "-m",
        "tests.fuzz",
        "--seed",
        str(SEED),
        "--inputs",
        str(INPUTS),
        "--keep",
        str(tmp_path / "kept"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"\n{grammar} " in done.stdout for grammar in GRAMMARS)
