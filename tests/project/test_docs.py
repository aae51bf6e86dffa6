"""The documentation site: what its pages show is what the commands print and what the source says; links resolve."""

import ast
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
from tests.pages import PAGES, README, ROOT, blocks

DOCS, PACKAGE = ROOT / "docs", ROOT / "sdt_ref"
COMMAND = re.compile(r"python -m (sdt_ref\.\w+|benchmarks|weights\.recipe\.\w+)((?: [^|&;#\n]+)?)")


def pages_and(pattern: str) -> list[tuple[str, ...]]:
    return [
        (page.relative_to(ROOT).as_posix(), *match.groups())
        for page in PAGES
        for match in re.finditer(pattern, page.read_text(), flags=re.M | re.S)
    ]


def unrun() -> Iterator[tuple[str, str, str]]:
    """Commands that tests/project/test_pages.py does not run: those in the prose, and blocks that need what is not here."""
    for page in PAGES:
        prose = re.findall(r"(?<!`)`(python -m [^`\n]+)`(?!`)", page.read_text())
        for text in [*prose, *(block.code for block in blocks(page) if "not run" in block.marks)]:
            for module, options in COMMAND.findall(text.replace("\\\n", " ")):
                yield page.relative_to(ROOT).as_posix(), module, options


@pytest.mark.parametrize(("page", "module", "options"), sorted(set(unrun())))
def test_commands_that_no_test_runs_exist_and_have_these_options(
    page: str, module: str, options: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if module.startswith("weights."):
        pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[train]'")
    package, _, name = module.partition(".")
    main = importlib.import_module(f"{package}.{name or '__main__'}").main
    named = [word for word in shlex.split(options) if word.startswith("-")]
    if not named:
        return
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for option in named:
        assert re.search(rf"(?<![\w-]){re.escape(option)}\b", shown), f"{page}: {module} has no option {option}"


@pytest.mark.parametrize(("page", "source", "lines"), pages_and(r'```(?:python|text) title="([^"]+)"\n(.*?)\n```'))
def test_quoted_lines_are_in_the_source(page: str, source: str, lines: str) -> None:
    there = [line.strip() for line in (ROOT / source).read_text().splitlines()]
    for line in lines.splitlines():
        assert line.strip() in there, f"{page} quotes {source}: {line}"


def test_all_that_as_coded_says_can_be_seen() -> None:
    """Every section quotes a line of the source, and has something to run; none of it is left unrun."""
    page = (DOCS / "as-coded.md").read_text()
    sections = re.split(r"^### ", page, flags=re.M)[1:]
    assert len(sections) > 15
    for section in sections:
        title = section.splitlines()[0]
        assert re.search(r'^```(?:python|text) title="', section, re.M), f"no line of the source: {title}"
        assert re.search(r"^```(?:python|sh)$", section, re.M) or "The next example shows both" in section, title


def test_the_readme_is_short() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 150
    assert len(README.read_text().split()) <= 1_300
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


def test_the_map_says_which_room_imports_which() -> None:
    page = (DOCS / "rooms.md").read_text()
    rows = re.findall(r"^\| `(\w+)/` \| [^|]+ \| ([^|]+) \|$", page, re.M)
    floors = [room for room, _ in rows]
    assert sorted(floors) == sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())
    for room, names in rows:
        found = {name for path in (PACKAGE / room).rglob("*.py") for name in imported(path)} - {room}
        imports = ", ".join(name for name in floors if name in found) or "nothing"
        assert names == imports, f"docs/rooms.md: {room}/ imports {imports}"
    for name in re.findall(r"^\| (`.*`) \| the commands", page, re.M)[0].replace("`", "").split():
        assert (PACKAGE / f"{name}.py").is_file()


def imported(path: Path) -> Iterator[str]:
    """Names of what a module imports of the package, as they stand at its top."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == len(path.relative_to(PACKAGE).parts):
            yield from [node.module.split(".")[0]] if node.module else [name.name for name in node.names]


def test_the_way_to_the_addition_is_as_the_map_says() -> None:
    rows = re.findall(r"^\| `(sdt_ref/[^`]+)` \| `([^`]+)`", (DOCS / "rooms.md").read_text(), re.M)
    assert len(rows) == 5
    for file, text in rows:
        assert text in (ROOT / file).read_text(), f"docs/rooms.md: {file} has no {text}"


def slug(heading: str) -> str:
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_resolve(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    for target, anchor in re.findall(r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]*))?\)", prose):
        other = (page.parent / target).resolve() if target else page
        assert other.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", other.read_text(), flags=re.M)
            assert anchor in map(slug, headings), f"{page.name}: {target}#{anchor}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: any warning is an error."""
    if find_spec("material") is None or find_spec("mkdocstrings") is None:
        pytest.skip("mkdocs-material or mkdocstrings is not installed: pip install '.[docs]'")
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


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        loaded = re.findall(
            r'<(?:script|img|iframe)[^>]+src="?([^"\s>]+)|<link[^>]+href="?([^"\s>]+)', page.read_text()
        )
        assert not [one for one in sum(loaded, ()) if one.startswith(("http", "//"))], page


@pytest.mark.slow
def test_the_site_documents_the_python_api(site: Path) -> None:
    api = (site / "api" / "index.html").read_text()
    for name in ("SpikeDrivenTransformer", "SpikeEvents", "look_into", "ImageError"):
        assert name in api


@pytest.mark.slow
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
