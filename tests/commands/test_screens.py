"""Screens in windows that are too narrow: a number is never cut, and text breaks between words."""

import importlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numba.core import event

from sdt_ref import convert
from sdt_ref.golden.trace_file import open_trace
from sdt_ref.terminal import screen as screens
from sdt_ref.terminal.progress import counting, kernels_loading, working
from sdt_ref.terminal.screen import Screen, table
from sdt_ref.weights import file as weights_file
from sdt_ref.weights.checkpoint import Conversion
from tests.shipped import CAT

Capture = pytest.CaptureFixture[str]

NUMBER = re.compile(r"\d[\d,.]*\d|\d")
DIGIT = CAT.parent / "digit.bin"


def numbers(screen: str) -> Counter[str]:
    """Every number on a screen, and how often it stands there; without those that no two runs have in common."""
    same = [line for line in screen.splitlines() if not re.search(r"^time  |\d s on \d", line)]
    return Counter(NUMBER.findall("\n".join(same)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trace, a dump of it that differs, and pictures in a folder for their class."""
    made = tmp_path_factory.mktemp("screens")
    assert importlib.import_module("sdt_ref.trace").main(["-o", str(made / "run.h5"), "--json"]) == 0
    with open_trace(made / "run.h5") as trace:
        wrong = {name: trace.values(name) for name in trace.records}
    wrong["block.0.attn.q_lif/h"][1, 5, 7] ^= 1
    np.savez(made / "dut.npz", **{name: values.astype(np.int64) for name, values in wrong.items()})
    options = ["--arithmetic", "float32", "--stages", "block.0.attn.*", "--json"]
    assert importlib.import_module("sdt_ref.trace").main(["-o", str(made / "real.h5"), *options]) == 0
    with open_trace(made / "real.h5") as trace:
        current = trace.values("block.0.attn.q_lif/x")
    current[1, 5, 7] += 1
    np.savez(made / "torch.npz", **{"block.0.attn.q_lif/x": current})
    (made / "data" / "cat").mkdir(parents=True)
    (made / "data" / "cat" / "1.jpg").write_bytes(CAT.read_bytes())
    (made / "data" / "cat" / "2.jpg").write_bytes(b"none")
    return made


SCREENS = [
    "infer",
    f"infer {DIGIT} --arithmetic fixed",
    "explain",
    "explain --weights sdt-2-64-nmnist",
    "explain --stage block.0.attn.q_lif",
    "explain --stage patch_embed.proj_lif --arithmetic float64 --all",
    "explain --stage block.0.attn.masked",
    "explain --stage head --arithmetic fixed",
    "evaluate {}/data",
    "energy --memory",
    f"energy {CAT} {CAT} --arithmetic fixed",
    f"energy {CAT} {CAT} --official-statistic --batch 1",
    "energy --published",
    "attention",
    "report -o {}/r.html",
    "calibrate {}/data/cat/1.jpg -o {}/f.toml",
    f"sweep {{}}/data --calibrate-on {CAT} --time-steps 1 --membrane-bits 2,6 --stream-bits 6",
    "trace -o {}/again.h5",
    "compare {}/run.h5 {}/run.h5",
    "compare {}/run.h5 {}/dut.npz",
    "trace -o {}/again.h5 --arithmetic float64",
    "compare {}/real.h5 {}/torch.npz",
    "vectors {}/run.h5 -o {}/vectors",
    "sizing {}/run.h5",
]


def shown(line: str, columns: str | None, folder: Path, capsys: Capture) -> str:
    """The screen of a command line in a window of so many columns, or in a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        if columns is not None:
            patch.setenv("COLUMNS", columns)
        command, *arguments = line.replace("{}", str(folder / f"out{columns}" if "vectors" in line else folder)).split()
        if "vectors" in line:
            arguments[0] = str(folder / "run.h5")
            (folder / f"out{columns}").mkdir()
        assert importlib.import_module(f"sdt_ref.{command}").main(arguments) in (0, 1)
    return capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("line", SCREENS)
def test_every_number_is_whole_in_a_narrow_window(line: str, folder: Path, capsys: Capture) -> None:
    wide = shown(line, None, folder, capsys)
    assert wide
    for columns in ("40", "60"):
        narrow = shown(line, columns, folder, capsys)
        assert numbers(wide) - numbers(narrow) == Counter()
        assert "…" not in narrow
        for printed in narrow.splitlines():  # longer than the window only where a single word is, or a line of TOML
            assert len(printed) <= int(columns) or len(printed.split()) == 1 or " = {" in printed, printed
        assert [line for line in narrow.splitlines() if line != line.rstrip()] == []
    assert [line for line in wide.splitlines() if line != line.rstrip()] == []


def test_the_screen_of_convert(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Printed from a conversion that was not made, so that torch is not needed."""
    conversion = Conversion(weights_file.load(), ["a.num_batches_tracked", "b"], ["lr"], {"time_steps": "--set"})
    convert._show(conversion, "w.h5")
    wide = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "40")
    convert._show(conversion, "w.h5")
    assert numbers(wide) - numbers(capsys.readouterr().out) == Counter()


# --- tables -----------------------------------------------------------------------------------------------------------


def printed(monkeypatch: pytest.MonkeyPatch, capsys: Capture, columns: int | None, **how: int) -> list[str]:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", str(columns))
    made = table("layer", "spikes", "additions")
    made.add_row("patch embedding: a convolution", "1,234", "[bold]49,994,624[/]")
    made.add_row("head", "", "2,690")
    Screen().print_table(made, **how)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


WHOLE = [
    "layer                           spikes   additions",
    "patch embedding: a convolution   1,234  49,994,624",
    "head                                         2,690",
]


def test_a_table_that_fits_is_as_it_is(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert printed(monkeypatch, capsys, 50) == WHOLE


def test_in_a_file_a_table_has_whole_rows(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(screens, "NARROWEST", 10)
    assert printed(monkeypatch, capsys, None) == WHOLE
    monkeypatch.setenv("LINES", "24")  # as readline sets both in what a Python session starts
    assert printed(monkeypatch, capsys, 25) == WHOLE


def test_a_table_that_nearly_fits_has_narrower_gaps_and_then_wraps_its_text(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert printed(monkeypatch, capsys, 48) == [
        "layer                          spikes  additions",
        "patch embedding: a convolution  1,234 49,994,624",
        "head                                       2,690",
    ]
    assert printed(monkeypatch, capsys, 40) == [
        "layer                  spikes  additions",
        "patch embedding: a      1,234 49,994,624",
        "convolution",
        "head                               2,690",
    ]


def test_a_table_that_does_not_fit_is_shown_row_by_row(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(screens, "NARROWEST", 20)
    assert printed(monkeypatch, capsys, 25) == [
        "layer",
        "patch embedding: a",
        "convolution",
        "  spikes          1,234",
        "  additions  49,994,624",
        "head",
        "  additions       2,690",
    ]


def test_an_indent_is_given_up_before_a_row_is_taken_apart(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert printed(monkeypatch, capsys, 60, indent=4)[0].startswith("    layer")
    assert printed(monkeypatch, capsys, 51, indent=4)[0].startswith("    layer")
    monkeypatch.setattr(screens, "NARROWEST", 20)
    assert printed(monkeypatch, capsys, 31, indent=4)[1] == "patch          1,234 49,994,624"


def test_text_breaks_between_words_and_long_words_stay_whole(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    Screen().print(f"  one [bold]two[/] {'3' * 50} four: :dog: \\[five]\nsix" + " 1,234,567" * 4)
    assert capsys.readouterr().out.splitlines() == [
        "  one two", "3" * 50, "four: :dog: [five]", "six 1,234,567 1,234,567 1,234,567", "1,234,567",
    ]  # fmt: skip


# --- progress ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_progress_cuts_no_number(columns: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, to Rich
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen(stderr=True)
    with counting(screen, "evaluating", 10_000) as done:
        done(9_999, "top-1 83.55%")
    with working(screen, "checking") as name:
        name("block.0.attn.talking_heads_lif at 1,234,567 tokens")
    drawn = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert "…" not in drawn
    for number in ("83.55%", "9999/10000", "0:00:00", "1,234,567"):
        assert number in drawn
    assert max(map(len, re.split(r"[\r\n]", drawn))) <= columns


def test_an_unreadable_list_ends(capsys: Capture) -> None:
    screens.show_unreadable(Screen(), [(f"[b]{n}.jpg", "broken") for n in range(23)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "unreadable [b]0.jpg: broken"
    assert lines[20:] == ["... and 3 more; --json lists all"]


def test_compilation_is_told_once_and_by_the_arithmetic(capsys: Capture) -> None:
    for arithmetic, compiled in (("float32", 0), ("float32", 3), ("fixed", 2)):
        with kernels_loading(Screen(stderr=True), arithmetic):
            for _ in range(compiled):
                with event.trigger_event("numba:compile"):
                    pass
    assert capsys.readouterr().err == (
        "compiling kernels for float32, which are kept: this takes a few seconds\n"
        "compiling kernels for fixed, which are kept: this takes a few seconds\n"
    )
