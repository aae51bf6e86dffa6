"""The lessons run from top to bottom, and print and show what they store."""

import re
import sys
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import lessons

NAMES = [path.name for path in lessons.NOTEBOOKS]

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("nbclient", "nbformat", "ipykernel")),
    reason="THE LESSONS ARE NOT CHECKED: nbclient, nbformat or ipykernel is not installed: pip install '.[test]'",
)


def problems(notebook: Any, name: str) -> list[str]:
    return list(lessons.problems(notebook, name, NAMES))


@pytest.mark.parametrize("path", lessons.NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_has_all_that_a_lesson_has(path: Path) -> None:
    assert problems(lessons.read(path), path.name) == []
    assert path.stat().st_size <= lessons.MOST_BYTES


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # those of Jupyter's own packages are not ours
@pytest.mark.parametrize("path", lessons.NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_runs_and_prints_what_it_stores(path: Path) -> None:
    stored = lessons.read(path)
    assert list(lessons.differences(stored, lessons.executed(stored))) == []


@pytest.mark.campaign
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("content", ["white", "noise"])
def test_the_asserts_hold_on_any_photo(content: str, tmp_path: Path) -> None:
    """So the overview says of lessons 1 to 7. All in one kernel, since only the photo is new."""
    import nbformat

    pixels = np.random.default_rng(0).integers(0, 2, (32, 32), np.uint8) * 255
    Image.fromarray(pixels if content == "noise" else np.full_like(pixels, 255)).save(tmp_path / "photo.png")
    together = nbformat.v4.new_notebook()
    for path in lessons.NOTEBOOKS[:7]:
        for cell in lessons.read(path).cells:
            cell.id = f"{len(together.cells)}"
            there = re.search(r"^PHOTO = (.*?)  #", cell.source, re.M)
            if cell.cell_type == "code" and there:
                cell.source = cell.source.replace(there[1], repr(str(tmp_path / "photo.png")))
            together.cells.append(cell)
    assert sum("photo.png" in cell.source for cell in together.cells) == 7
    lessons.executed(together)


def test_the_overview_has_them_all_in_order_with_their_times() -> None:
    overview = (lessons.FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(.+?)\]\((.+?)\) \| (\d+) \|", overview, re.M)
    firsts = [lessons.read(path).cells[0].source for path in lessons.NOTEBOOKS]
    titles = [first.splitlines()[0].removeprefix("# ") for first in firsts]
    times = [str(lessons.minutes(first)) for first in firsts]
    assert rows == list(zip(titles, NAMES, times, strict=True))
    assert len(rows) == 8
    for target in lessons.LINK.findall(overview):
        assert "://" in target or (lessons.FOLDER / target).exists(), target


# each check has been seen red


def _say(notebook: Any, text: str) -> None:
    notebook.cells[0].source += f"\n{text}"


def _cell(notebook: Any) -> Any:
    return lessons.code_cells(notebook)[0]


def _output(notebook: Any, name: str, text: str) -> None:
    import nbformat

    _cell(notebook).outputs.append(nbformat.v4.new_output("stream", name=name, text=text))


def _drop_alternative_texts(notebook: Any) -> None:
    for cell in lessons.code_cells(notebook):
        for output in cell.outputs:
            output.get("metadata", {}).clear()


def _drop_a_picture(notebook: Any) -> None:
    for cell in lessons.code_cells(notebook):
        if lessons.pictures(cell):
            cell.outputs = []
            return


def _replace(notebook: Any, old: str, new: str) -> None:
    for cell in notebook.cells:
        cell.source = cell.source.replace(old, new)


FAULTS = {
    "another title": (lambda n: _replace(n, "# 3. ", "# 4. "), "expected a first line"),
    "no time": (lambda n: _replace(n, "15 minutes", "a while"), "minutes"),
    "an exercise without a solution": (lambda n: _replace(n, "<details>", "<div>"), "two exercises"),
    "a solution that checks nothing": (lambda n: _replace(n, "assert ", "print "), "two exercises"),
    "no link to the next": (lambda n: _replace(n, "](04-", "](05-"), "last line"),
    "a link to nowhere": (lambda n: _say(n, "[there](nowhere.md)"), "does not exist"),
    "a number from nowhere": (lambda n: _say(n, "It takes 123,456 additions."), "no cell shows it"),
    "a path in the text": (lambda n: _say(n, "See /home/me/photo.jpg"), "one machine"),
    "a path in an output": (lambda n: _output(n, "stdout", r"C:\photos\cat.jpg"), "one machine"),
    "a stored error": (lambda n: _output(n, "stderr", "oh"), "error or warning"),
    "a warning": (lambda n: _output(n, "stdout", "UserWarning: oh"), "warning"),
    "a long cell": (lambda n: _cell(n).update(source="\n".join(["pass"] * 21)), "lines of code"),
    "pictures without words": (_drop_alternative_texts, "without words"),
    "a picture that is not shown": (_drop_a_picture, "is not stored"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_lesson_is_named(fault: str) -> None:
    break_it, expected = FAULTS[fault]
    notebook = deepcopy(lessons.read(lessons.NOTEBOOKS[2]))
    break_it(notebook)
    found = problems(notebook, NAMES[2])
    assert any(expected in problem for problem in found), found


@pytest.fixture(scope="module")
def small() -> Any:
    import nbformat

    make = nbformat.v4
    solution = "<details>\n\n```python\nassert value == 2\n```\n\n</details>"
    cells = [
        make.new_code_cell("value = 2\nprint(value)"),
        make.new_markdown_cell(solution),
        make.new_code_cell("value"),
    ]
    return lessons.executed(make.new_notebook(cells=cells))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_executing_again_changes_nothing(small: Any) -> None:
    again = lessons.executed(small)
    assert again == small
    assert list(lessons.differences(small, again)) == []
    assert [lessons.texts(cell) for cell in lessons.code_cells(small)] == [
        [("stream", "2\n")],
        [("execute_result", "2")],
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_kernel_is_of_this_python() -> None:
    import nbformat

    cell = nbformat.v4.new_code_cell("import sys\nprint(sys.executable)")
    fresh = lessons.executed(nbformat.v4.new_notebook(cells=[cell]))
    assert lessons.texts(fresh.cells[0]) == [("stream", f"{sys.executable}\n")]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("old", "new"), [("value = 2", "value = 1 / 0"), ("value == 2", "value == 3")])
def test_a_cell_or_a_folded_solution_that_fails_is_noticed(small: Any, old: str, new: str) -> None:
    from nbclient.exceptions import CellExecutionError

    broken = deepcopy(small)
    _replace(broken, old, new)
    with pytest.raises(CellExecutionError):
        lessons.executed(broken)


@pytest.mark.parametrize("what", ["text", "count", "picture"])
def test_outputs_that_are_not_those_of_a_run_are_noticed(small: Any, what: str) -> None:
    stored = deepcopy(small)
    first = lessons.code_cells(stored)[0]
    if what == "text":
        first.outputs[0].text = "3\n"
    elif what == "count":
        first.execution_count = 7
    else:
        lessons.code_cells(stored)[1].outputs[0].data["image/png"] = ""
    assert len(list(lessons.differences(stored, small))) == 1
