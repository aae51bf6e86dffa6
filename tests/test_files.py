"""Files that are written whole or not at all, under names of any length, also where the disk is full."""

import importlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import sdt_ref
from sdt_ref.files import folder_written_whole, require_new_folder, require_writable, write, written_whole
from sdt_ref.terminal import cli
from tests.processes import module
from tests.shipped import CAT
from tests.writing_commands import FORMS, WRITING

Capture = pytest.CaptureFixture[str]

LONG = "a" * 300


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("report", ["-o", f"{LONG}.html"]),
        ("attention", ["-o", f"{LONG}.png"]),
        ("energy", ["--csv", f"{LONG}.csv"]),
        ("energy", ["--plot", f"{LONG}.png"]),
        ("trace", ["-o", f"{LONG}.h5"]),
        ("calibrate", [str(CAT.parent), "-o", f"{LONG}.toml"]),
        ("vectors", ["run.h5", "-o", LONG]),
        ("energy", [LONG]),
        ("evaluate", [LONG]),
        ("infer", [LONG]),
    ],
)
def test_a_name_that_is_too_long_is_said_in_words(
    command: str, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    if command == "vectors":
        assert importlib.import_module("sdt_ref.trace").main(["-o", "run.h5"]) == 0
        capsys.readouterr()
    before = list(tmp_path.iterdir())
    assert importlib.import_module(f"sdt_ref.{command}").main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.search("the name is too long for the disk; choose a shorter one|File name too long", captured.err)
    assert "Errno" not in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == before


def test_a_name_as_long_as_the_disk_allows_is_written(tmp_path: Path) -> None:
    """The unfinished file beside it has a shorter one."""
    target = tmp_path / ("ä" * 127)  # 254 bytes
    require_writable(target, sdt_ref.SdtError)
    with written_whole(target, sdt_ref.SdtError) as part:
        part.write_text("all of it")
    assert target.read_text() == "all of it"
    assert list(tmp_path.iterdir()) == [target]


# --- what cannot be written -------------------------------------------------------------------------------------------

LOOP = "it is a link that leads to no end; remove the link, or choose another name"


def refused(act: object, *arguments: object) -> str:
    """The message of an SdtError, in one line."""
    with pytest.raises(sdt_ref.SdtError) as caught:
        act(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
@pytest.mark.parametrize("name", ["itself", "one", "itself/new", "far"])
def test_links_that_lead_in_a_circle_are_no_output(name: str, tmp_path: Path) -> None:
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    (tmp_path / "far").symlink_to(tmp_path / "one" / "x")
    before, target = sorted(tmp_path.iterdir()), tmp_path / name
    for act in (require_writable, require_new_folder):
        assert refused(act, target, sdt_ref.SdtError) == f"cannot write '{target}': {LOOP}"
    assert refused(write, target, b"x", sdt_ref.SdtError) == f"cannot write '{target}': {LOOP}"
    assert sorted(tmp_path.iterdir()) == before
    assert all(path.is_symlink() for path in before)


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
@pytest.mark.parametrize(
    ("command", "out"),
    [
        ("convert m.safetensors {}", "w.h5"), ("trace -o {}", "w.h5"), ("calibrate . -o {}", "f.toml"), ("report -o {}", "p.html"),
        ("attention -o {}", "p.png"), ("energy --csv {}", "e.csv"), ("energy --table {}", "e.tex"), ("energy --plot {}", "e.pdf"),
        ("infer --figure {}", "p.svg"), ("vectors run.h5 -o {}", "v"),
    ],
)  # fmt: skip
def test_no_command_writes_to_a_link_in_a_circle(
    command: str, out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(out).symlink_to(out)
    name, *arguments = command.format(out).split()
    assert importlib.import_module(f"sdt_ref.{name}").main(arguments) == 2
    assert capsys.readouterr() == ("", f"error: cannot write '{out}': {LOOP}\n")
    assert os.listdir() == [out]


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_folder_is_written_through_a_link(tmp_path: Path) -> None:
    for name, there in (("new", False), ("empty", True)):
        link, folder = tmp_path / f"link to {name}", tmp_path / name
        link.symlink_to(name)
        if there:
            folder.mkdir()
        require_new_folder(link, sdt_ref.SdtError)
        with folder_written_whole(link, sdt_ref.SdtError) as part:
            (part / "a").write_text("all of it")
        assert link.is_symlink()
        assert (folder / "a").read_text() == "all of it"
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("begun", [written_whole, folder_written_whole])
def test_a_folder_that_vanishes_meanwhile_is_said_in_one_line(begun: object, tmp_path: Path) -> None:
    def act() -> None:
        with begun(tmp_path / "a" / "new", sdt_ref.SdtError) as part:
            shutil.rmtree(tmp_path / "a")
            if begun is written_whole:
                part.write_text("x")

    (tmp_path / "a").mkdir()
    assert refused(act).endswith("/new': its folder does not exist; make that folder, or choose another")
    assert not list(tmp_path.iterdir())


@contextmanager
def as_nobody_in(folder: Path) -> Iterator[Path]:
    """A folder of one's own, without the rights of root, which no folder binds."""
    folder.chmod(0o777)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        (folder / "own").mkdir()
        yield folder / "own"
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.skipif(os.name != "posix", reason="POSIX rights")
@pytest.mark.parametrize("begun", [written_whole, folder_written_whole])
def test_a_folder_that_can_no_more_be_written_is_said_in_one_line(begun: object) -> None:
    with tempfile.TemporaryDirectory() as folder, as_nobody_in(Path(folder)) as inside:

        def act() -> None:
            with begun(inside / "new", sdt_ref.SdtError):
                inside.chmod(0o500)

        said = refused(act)
        inside.chmod(0o700)
        assert said == f"cannot write '{inside / 'new'}': Permission denied; choose a folder that can be written"
        assert not (inside / "new").exists()


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_names_that_no_system_has(name: str, tmp_path: Path) -> None:
    assert "cannot write" in refused(write, tmp_path / name, b"x", sdt_ref.SdtError)
    assert "cannot write" in refused(require_new_folder, tmp_path / name, sdt_ref.SdtError)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="POSIX rights")
def test_what_is_written_has_the_rights_of_a_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "file", b"x", sdt_ref.SdtError)
        with folder_written_whole(tmp_path / "folder", sdt_ref.SdtError):
            pass
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("file", "folder")] == [0o640, 0o750]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_is_found_full_at_the_end(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk beyond a network says so only when a file is brought onto it."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "file").write_text("old")
    monkeypatch.setattr(os, call, full)
    assert refused(write, tmp_path / "file", b"x", sdt_ref.SdtError).endswith(
        "No space left on device; make room, or choose a folder on another disk"
    )
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


# --- a full disk, for every command -----------------------------------------------------------------------------------

unix = pytest.mark.skipif(sys.platform != "linux", reason="limits on the size of a file, and /dev/full")


def on_a_full_disk(folder: Path, what: str, *names: str) -> list[dict[str, object]]:
    ran = module("tests.full_disk", str(folder), what, *names, cwd=Path(__file__).parents[1])
    assert ran.returncode == 0, ran.stderr
    return list(json.loads(ran.stdout.splitlines()[-1]))


@unix
@pytest.mark.slow
@pytest.mark.parametrize("name", [*WRITING, *FORMS])
def test_a_full_disk_is_one_line_and_leaves_what_was_there(name: str, tmp_path: Path) -> None:
    """See tests/full_disk.py, also for a disk that is really full."""
    found = on_a_full_disk(tmp_path, "writing", name)
    before = "absent" if name == "vectors" else "old"
    for run in found:
        expected = (0, "complete", 0) if run["fits"] else (2, before, 1)
        assert (run["code"], run["state"], run["said"].count("\n")) == expected, run
        assert run["left"] == [], run
        assert run["fits"] or re.fullmatch(
            r"error: cannot write 'out[.\w]*': File too large; make room, or choose a folder on another disk\n",
            run["said"],
        ), run
    assert sum(not run["fits"] for run in found) >= 4


SHORT = tuple(name for name in cli.COMMANDS if name != "claims")  # that one takes minutes


@unix
@pytest.mark.slow
@pytest.mark.parametrize("names", [SHORT, pytest.param(("claims",), marks=pytest.mark.campaign)])
def test_printing_onto_a_full_disk_is_one_line(names: tuple[str, ...], tmp_path: Path) -> None:
    found = on_a_full_disk(tmp_path, "printing", *names)
    assert [run["command"] for run in found] == [[name, *more] for name in names for more in ([], ["--json"])]
    for run in found:
        said = "error: No space left on device; check the path, its permissions and the disk\n"
        assert (run["code"], run["said"]) == (2, said), run
