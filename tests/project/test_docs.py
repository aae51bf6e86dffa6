"""The documentation site: what its pages show is what the commands print and what the source says; links resolve."""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from html import unescape
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests import lessons

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [DOCS / f"{name}.md" for name in ("index", "walk", "report", "recordings", "as-coded", "benchmarks", "api")]
OWN = [page for page in sorted(DOCS.glob("*.md")) if page.stem != "from-photo-to-bug"]  # test_walk.py runs that one
TIMING = re.compile(r"^\d+\.\d+ s on \d+ threads?, ")  # differs from run to run


def pages_and(pattern: str, pages: list[Path]) -> list[tuple[str, ...]]:
    return [
        (page.name, *match.groups())
        for page in pages
        for match in re.finditer(pattern, page.read_text(), flags=re.M | re.S)
    ]


def commands() -> Iterator[tuple[str, str]]:
    for page, block in pages_and(r"^```sh\n(.*?)\n```", OWN):
        for line in block.splitlines():
            yield page, line
    for page, command in pages_and(r"(?<!`)`(python -m [^`\n]+)`(?!`)", OWN):
        yield page, command


def runs() -> list[tuple[str, str, str]]:
    """Commands that stand above their output."""
    return [run for run in pages_and(r"```sh\n([^\n]*)\n```\n\n```\n(.*?)\n```\n", PAGES) if len(run) == 3]  # type: ignore[misc]


@pytest.mark.parametrize(("page", "command"), sorted(set(commands())))
def test_every_command_exists_and_has_these_options(
    page: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = shlex.split(command.split(" | ", maxsplit=1)[0], comments=True)
    if words[:2] != ["python", "-m"] or words[2].startswith("tests."):
        assert words[0] in ("python3", "pip") or words[2] == "tests.golden_cases", f"{page} shows an unknown command"
        return
    module, options = words[2], [word for word in words[3:] if word.startswith("-")]
    package, _, name = module.partition(".")
    main = importlib.import_module(f"{package}.{name or '__main__'}").main
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for option in options:
        assert re.search(rf"(?<![\w-]){re.escape(option)}\b", shown), f"{page}: {module} has no option {option}"


@pytest.mark.slow
@pytest.mark.parametrize(("page", "command", "expected"), runs())
def test_every_output_is_what_the_command_prints(page: str, command: str, expected: str, tmp_path: Path) -> None:
    """A line '...' stands for any number of lines."""
    printed = [line.rstrip() for line in run_in_bash(command, tmp_path).rstrip().splitlines()]
    wanted = "\n".join("(.*\n)*?.*" if line == "..." else re.escape(line) for line in expected.splitlines())
    text, wanted = "\n".join(printed), "\n".join(wanted.split("\n"))
    if timing := [line for line in expected.splitlines() if TIMING.match(line)]:
        wanted = wanted.replace(re.escape(timing[0]), r"\d+\.\d+ s on \d+ threads?, float32, \d+ time steps")
    assert re.fullmatch(wanted, text), f"{page}: {command} prints\n{text}"


def run_in_bash(command: str, folder: Path) -> str:
    """What a command of a page prints, run in a folder that has the sample photo where the repository has it."""
    (folder / "sdt_ref").mkdir()
    (folder / "sdt_ref" / "data").symlink_to(ROOT / "sdt_ref" / "data")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "80", "PYTHONUTF8": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=True, timeout=100
    ).stdout


def test_outputs_are_shown() -> None:
    assert len(runs()) >= 8
    for page in PAGES:
        assert "```" in page.read_text(), f"{page.name} has nothing to run or to see"


@pytest.mark.parametrize(
    ("page", "source", "lines"), pages_and(r'```(?:python|text) title="([^"]+)"\n(.*?)\n```', PAGES)
)
def test_quoted_lines_are_in_the_source(page: str, source: str, lines: str) -> None:
    there = [line.strip() for line in (ROOT / source).read_text().splitlines()]
    for line in lines.splitlines():
        assert line.strip() in there, f"{page} quotes {source}: {line}"


@pytest.mark.parametrize(
    ("page", "code", "expected"), pages_and(r"```python\n(.*?)\n```(?:\n\n```\n(.*?)\n```)?", PAGES)
)
def test_python_examples_run(
    page: str, code: str, expected: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What they print is compared where the page shows it."""
    monkeypatch.chdir(ROOT)
    exec(compile(code, page, "exec"), {})
    printed = capsys.readouterr().out
    if expected is not None:
        assert printed.rstrip() == expected


def test_all_that_as_coded_says_can_be_seen() -> None:
    """Every section quotes a line of the source, and has something to run; none of it is left unrun."""
    page = (DOCS / "as-coded.md").read_text()
    sections = re.split(r"^### ", page, flags=re.M)[1:]
    assert len(sections) > 15
    for section in sections:
        title = section.splitlines()[0]
        assert re.search(r'^```(?:python|text) title="', section, re.M), f"no line of the source: {title}"
        assert re.search(r"^```(?:python|sh)$", section, re.M) or "The next example shows both" in section, title
    shown = {command for page_name, command, _ in runs() if page_name == "as-coded.md"}
    lines = [line for block in re.findall(r"^```sh\n(.*?)\n```", page, re.M | re.S) for line in block.splitlines()]
    assert set(lines) - shown == {command for _, command in silent()}


def silent() -> list[tuple[str, str]]:
    """Commands of the page on the code that stand without their output."""
    blocks = pages_and(r"```sh\n([^\n]*)\n```(?!\n\n```\n)", [DOCS / "as-coded.md"])
    return [block for block in blocks if len(block) == 2]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "command"), silent())
def test_commands_without_their_output_run(page: str, command: str, tmp_path: Path) -> None:
    assert run_in_bash(command, tmp_path).strip(), f"{page}: {command} prints nothing"


def slug(heading: str) -> str:
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    for target, anchor in re.findall(r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]*))?\)", prose):
        other = (page.parent / target).resolve() if target else page
        assert other.is_file(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", other.read_text(), flags=re.M)
            assert anchor in map(slug, headings), f"{page.name}: {target}#{anchor}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: any warning is an error."""
    if find_spec("material") is None or find_spec("mkdocstrings") is None:
        pytest.skip("mkdocs-material or mkdocstrings is not installed: pip install 'sdt_ref[docs]'")
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        loaded = re.findall(
            r'<(?:script|img|iframe)[^>]+src="?([^"\s>]+)|<link[^>]+href="?([^"\s>]+)', page.read_text()
        )
        assert not [one for one in sum(loaded, ()) if one.startswith(("http", "//"))], page


def test_the_site_documents_the_python_api(site: Path) -> None:
    api = (site / "api" / "index.html").read_text()
    for name in ("SpikeDrivenTransformer", "SpikeEvents", "look_into", "ImageError"):
        assert name in api


def test_each_lesson_is_a_page_in_the_navigation(site: Path) -> None:
    navigation = (site / "index.html").read_text().partition('<nav class="md-nav md-nav--primary')[2]
    links = re.findall(r'<a href="(lessons/[^"]*)" class="md-nav__link">', navigation)
    assert links == ["lessons/", *(f"lessons/{path.stem}/" for path in lessons.NOTEBOOKS)]
    assert len(links) == 9


@pytest.mark.parametrize("path", lessons.NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_s_page_shows_all_that_the_notebook_stores(path: Path, site: Path) -> None:
    html = (site / "lessons" / path.stem / "index.html").read_text()
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    images = dict(re.findall(r'<img alt="([^"]+)" src="([^"]+)"', html))
    for output in outputs:
        if "text" in output:
            assert "".join(output["text"]).rstrip() in plain(html)
        else:
            picture = (site / "lessons" / path.stem / images.pop(output["metadata"]["image/png"]["alt"])).resolve()
            assert picture.read_bytes() == b64decode("".join(output["data"]["image/png"]))
    assert images == {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert "".join(cell["source"]).strip() in plain(html)
    assert html.count("<details>") == html.count("<summary>Solution</summary>") == 2
    solutions = "".join(re.findall(r"<details>.*?</details>", html, re.S))
    assert "`" not in re.sub(r"<pre.*?</pre>", "", solutions, flags=re.S)  # their prose is set
    assert re.findall(r'href="([^"]+\.ipynb)"', html) == [f"../{path.name}"]  # all other links lead to pages
    assert (site / "lessons" / path.name).read_bytes() == path.read_bytes()


def plain(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", "", html))
