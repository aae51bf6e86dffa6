"""The command line itself: versions, options and their names, what is refused, completion, Ctrl-C."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sdt_ref
from sdt_ref import infer
from sdt_ref.kernels import policy
from sdt_ref.terminal import cli, completion
from tests.processes import module
from tests.shipped import CAT

Capture = pytest.CaptureFixture[str]
OPTIONS = {name: importlib.import_module(f"sdt_ref.{name}").command_line() for name in cli.COMMANDS}


def refused(command: str, arguments: list[str], capsys: Capture) -> str:
    """What an option that argparse refuses says."""
    with pytest.raises(SystemExit) as caught:
        importlib.import_module(f"sdt_ref.{command}").main(arguments)
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


# --- sdt-ref and python -m sdt_ref ------------------------------------------------------------------------------------


def test_the_version(capsys: Capture) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"sdt-ref {sdt_ref.__version__}\n"
    shown = module("sdt_ref", "--version")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, f"sdt-ref {sdt_ref.__version__}\n", "")


def test_without_a_command_the_usage_is_shown_and_the_exit_code_is_2(capsys: Capture) -> None:
    shown = module("sdt_ref")
    assert shown.returncode == 2
    assert shown.stdout.startswith("usage: sdt-ref COMMAND [options]\n")
    assert cli.main(["--help"]) == 0
    assert capsys.readouterr().out == shown.stdout


def test_help_says_where_the_compiled_kernels_are(capsys: Capture) -> None:
    assert cli.main(["--help"]) == 0
    folder = policy.cache_folder()
    assert folder is not None
    assert (
        f"Compiled kernels are kept in '{folder.parent}'; delete that folder to remove them" in capsys.readouterr().out
    )


def test_each_command_names_its_room() -> None:
    """The first line of its file says where the work is done, and that place is there."""
    package = Path(sdt_ref.__file__).parent
    for name in cli.COMMANDS:
        line = (importlib.import_module(f"sdt_ref.{name}").__doc__ or "").splitlines()[0]
        assert line.startswith("Command line: ")
        assert (package / line.rpartition("the work is in `")[2].removesuffix("`.")).exists(), line


# --- names of commands and options ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evalute"], "unknown command 'evalute' (did you mean 'evaluate'?); known: infer, "),
        (["--vresion"], "unknown option '--vresion' (did you mean '--version'?); known: --help, "),
        (["xyzzy"], "unknown command 'xyzzy'; known: infer, "),
    ],
)
def test_a_command_that_was_probably_meant_is_named(arguments: list[str], message: str, capsys: Capture) -> None:
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("infer", ["--aritmetic", "fixed"], "unknown option '--aritmetic' (did you mean '--arithmetic'?)"),
        ("report", ["--ouput=r.html"], "unknown option '--ouput' (did you mean '--output'?)"),  # before what is missing
        ("trace", ["--stage", "head"], "unknown option '--stage' (did you mean '--stages'?)"),
        ("infer", ["--xyzzy"], "unknown option '--xyzzy'"),
        ("infer", ["--arith", "fixed"], "unknown option '--arith' (did you mean '--arithmetic'?)"),  # no abbreviations
        ("infer", ["a.jpg", "b.jpg"], "unexpected argument 'b.jpg'"),
        ("infer", ["--steps", "8"], "'--steps' is now '--time-steps'"),
        ("infer", ["--split=time"], "'--split' is now '--split-by'"),
        ("evaluate", ["DATA", "--steps", "8"], "'--steps' is now '--time-steps'"),
    ],
)
def test_an_option_that_was_probably_meant_is_named(
    command: str, arguments: list[str], message: str, capsys: Capture
) -> None:
    assert refused(command, arguments, capsys) == f"sdt-ref {command}: error: {message}; see --help\n"


def test_behind_two_dashes_all_are_names(capsys: Capture) -> None:
    assert infer.main(["--", "--steps"]) == 2
    assert "picture '--steps' does not exist" in capsys.readouterr().err


MEANING = {
    "--split": "part of the data set",
    "--split-by": "cut a recording into frames by number of events (default) or by time",
    "--limit": "N",
    "--time-steps": "steps to take, and so the frames to make of a recording",
    "--steps": "time steps to",
}


@pytest.mark.parametrize("option", MEANING)
def test_an_option_means_the_same_in_every_command(option: str) -> None:
    shapes = set()
    for command, options in OPTIONS.items():
        if option in options._option_string_actions:
            action = options._option_string_actions[option]
            assert MEANING[option] in (action.help or "")
            if option == "--limit":
                assert "evenly spread" in (action.help or "")
            if (command, option) != ("sweep", "--time-steps"):  # a list of them
                shapes.add((action.metavar, action.type))
    assert len(shapes) == 1


# --- what is refused before any work ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("infer", ["--weights", "sdt-2-64-nmnist", "--figure", "{}/f.png"]),
        ("attention", ["-o", "{}/map.png"]),
        ("report", ["-o", "{}/r.html"]),
        ("energy", ["--csv", "{}/counts.csv"]),
        ("energy", ["--plot", "{}/plot.svg"]),
        ("calibrate", [str(CAT), "-o", "{}/f.toml"]),
        ("trace", ["-o", "{}/run.h5"]),
        ("vectors", ["{}/run.h5", "-o", "{}/vectors"]),
        ("convert", ["{}/w.pth", "{}/w.h5"]),
    ],
)
def test_an_output_in_a_folder_that_does_not_exist_is_refused_at_once(
    command: str, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    from sdt_ref.weights import file as weights_file

    def in_vain(*_: Any, **__: Any) -> None:
        pytest.fail("computed in vain")

    monkeypatch.setattr(cli, "load_model", in_vain)
    monkeypatch.setattr(weights_file, "load", in_vain)
    absent = str(tmp_path / "absent")
    assert importlib.import_module(f"sdt_ref.{command}").main([text.format(absent) for text in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "its folder does not exist; make that folder, or choose another" in captured.err
    assert not list(tmp_path.iterdir())


def test_a_range_is_named_in_one_way(capsys: Capture) -> None:
    for arguments, message in (
        (["--top", "0"], "--top: expected 1 or more, found 0"),
        (["--trial", "-2"], "--trial: expected 1 or more, found -2"),
        (["--time-steps", "4097"], "--time-steps: expected 1 to 4096, found 4097"),
    ):
        assert infer.main(arguments) == 2
        assert capsys.readouterr().err == f"error: {message}\n"


# --- completion -------------------------------------------------------------------------------------------------------


def completed(script: str, *words: str) -> list[str]:
    """What bash offers for the last word."""
    line = f"""{script}
        COMP_WORDS=(sdt-ref {" ".join(words)}) COMP_CWORD={len(words)}
        _shtab_sdt_ref
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    shown = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=600)
    return shown.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash")
def test_bash_completes_commands_and_options(capsys: Capture) -> None:
    pytest.importorskip("shtab")
    assert cli.main(["--print-completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert completed(script, "eva") == ["evaluate"]
    assert completed(script, "infer", "--ari") == ["--arithmetic"]
    assert completed(script, "infer", "--split-by", "t") == ["time"]


def test_zsh_gets_a_script_of_its_own(capsys: Capture) -> None:
    pytest.importorskip("shtab")
    assert cli.main(["--print-completion", "zsh"]) == 0
    script = capsys.readouterr().out
    assert script.startswith("#compdef sdt-ref\n")
    assert all(name in script for name in cli.COMMANDS)


def test_completion_for_no_known_shell_or_without_shtab(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    for arguments, found in ((["fish"], "fish"), ([], "")):
        assert cli.main(["--print-completion", *arguments]) == 2
        assert capsys.readouterr().err == f"error: --print-completion: expected bash or zsh, found '{found}'\n"
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.main(["--print-completion", "bash"]) == 2
    assert (
        capsys.readouterr().err
        == "error: completion needs shtab, which is not installed; in the folder of sdt_ref: pip install '.[completion]'\n"
    )


def test_only_arguments_that_are_paths_complete_to_files() -> None:
    options = OPTIONS["trace"]._option_string_actions
    assert [name for name, action in options.items() if name.startswith("--") and completion._is_path(action)] == [
        "--output", "--weights", "--formats",
    ]  # fmt: skip
