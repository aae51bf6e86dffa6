"""What the pages say to type runs, from top to bottom, prints what stands below it, and leaves nothing behind."""

from pathlib import Path

import pytest

from tests import pages
from tests.pages import PAGES, ROOT, WorkingCopy, blocks, same, stand_ins

RUN = [page for page in PAGES if any("not run" not in block.marks for block in blocks(page))]
SHORT = {f"docs/{name}.md" for name in ("api", "compatibility", "engine", "index", "report", "your-own-checkpoint")}


def cases() -> list[object]:
    """Pages; all but the shortest are campaigns, since each of their commands is a process."""
    names = [page.relative_to(ROOT).as_posix() for page in RUN]
    marks = [[pytest.mark.slow] + [pytest.mark.campaign] * (name not in SHORT) for name in names]
    return [pytest.param(page, id=name, marks=mark) for page, name, mark in zip(RUN, names, marks, strict=True)]


@pytest.mark.parametrize("page", cases())
def test_a_page_runs_as_it_is_typed(page: Path, tmp_path: Path) -> None:
    copy = WorkingCopy(tmp_path, page)
    left_out = []
    for block in blocks(page):
        if "not run" in block.marks:
            continue
        if block.missing:
            left_out.append(f"{block} ({block.missing})")
            continue
        code, printed, complaint = copy.run(block)
        assert code == block.exit_code, f"{block}: exit code {code}, expected {block.exit_code}\n{printed}{complaint}"
        assert "Traceback" not in complaint, f"{block}\n{complaint}"
        assert block.shown is None or same(printed, block.shown), f"{block} prints\n{printed}"
    assert copy.left_behind() == ""
    if left_out:
        pytest.skip(f"NOT RUN, for a tool is not installed: {', '.join(left_out)}")


def test_every_page_with_something_to_type_is_run() -> None:
    assert len(RUN) >= 14
    assert sum(block.shown is not None for page in RUN for block in blocks(page)) >= 35
    typed = sum(page.read_text().count("\n```sh\n") + page.read_text().count("\n```python\n") for page in PAGES)
    indented = sum(page.read_text().count("\n  ```sh\n") for page in PAGES)
    rows = sum(1 for _ in pages.ROW.finditer(pages.README.read_text()))
    assert sum(len(blocks(page)) for page in PAGES) == typed + indented + rows


@pytest.mark.parametrize(
    ("printed", "shown", "equal"),
    [
        ("a\nb\n", "a\nb", True),
        ("a\nb\n", "a\nc", False),
        ("a\nb\nc\n", "a\n...", True),
        ("a\nb\nc\n", "...\nc", True),
        ("a\nb\nc\n", "a\n...\nd", False),
        ("a\nb\n", "a", False),
        ("0.013 s on 2 threads, float32\n", "0.200 s on 64 threads, float32", True),
        ("0.013 s on 2 threads, float32\n", "0.013 s on 2 threads, float64", False),
        ("1.5 mJ\n", "1.6 mJ", False),
    ],
)
def test_only_what_differs_from_run_to_run_is_masked(printed: str, shown: str, equal: bool) -> None:
    assert same(printed, shown) == equal


PAGE = """
```sh
python3 -m venv .venv && . .venv/bin/activate && pip install -q '.[report]'
```

<!-- exit code: 3 -->
```sh
echo one; exit 3
```

```
two
```
"""


def test_the_runner_sees_exit_codes_outputs_extras_and_what_is_left(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    setup, wrong = blocks(page)
    copy = stand_ins(tmp_path, activated=False)
    assert copy.run(setup)[0] == 0
    code, printed, _ = copy.run(wrong)
    assert (code, wrong.exit_code) == (3, 3)
    assert not same(printed, wrong.shown or "")


@pytest.mark.parametrize(
    "line", ["python -c 'print()'", "python3 -c 'print()'", "pip install -q ."], ids=["python", "python3", "pip"]
)
def test_nothing_is_there_before_the_environment_is_activated(line: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"\n```sh\n{line}\n```\n")
    (block,) = blocks(page)
    assert stand_ins(tmp_path / "without", activated=False).run(block)[0] == 127
    assert stand_ins(tmp_path / "with", activated=True).run(block)[0] == 0


def test_an_extra_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("\n```sh\npip install '.[reports]'\n```\n")
    (block,) = blocks(page)
    code, _, complaint = stand_ins(tmp_path, activated=True).run(block)
    assert code == 1
    assert "no extra 'reports'" in complaint
