"""What mkdocs is told at build time: pages that live beside their code, and the lessons as pages.

A lesson becomes a Markdown page like all others, so that it has their colours, their search and their checked links:
prose stays, code and what it printed become blocks, pictures files. Nothing is executed: what is stored is shown.
"""

import base64
import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
BESIDE = (
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "hardware/README.md",
    "weights/README.md",
    "weights/recipe/README.md",
    "benchmarks/figure.png",
)
LESSONS = ROOT / "lessons"
NOTEBOOKS = sorted(LESSONS.glob("*.ipynb"))
LINK = re.compile(r"(!?)\[((?:[^\[\]]|!?\[[^\[\]]*\])*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lessons stand in the navigation, in their order; each under the title of its own first line."""
    lessons: list[Any] = [{"Overview": "lessons/README.md"}, *(page_of(path) for path in NOTEBOOKS)]
    if NOTEBOOKS and config.nav is not None:
        config.nav.insert(2, {"Lessons": lessons})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take pages from outside docs/ under the paths that they have in the repository."""
    for path in [*(ROOT / name for name in BESIDE), LESSONS / "README.md", *NOTEBOOKS]:
        if path.is_file():
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    for path in NOTEBOOKS:
        pictures: dict[str, bytes] = {}
        text = "\n\n".join(blocks(json.loads(path.read_text(encoding="utf-8")), path.stem, pictures))
        files.append(File.generated(config, page_of(path), content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, f"lessons/{name}", content=content))
    return files


def page_of(notebook: Path) -> str:
    """The page of a lesson, in the site's sources."""
    return f"lessons/{notebook.stem}.md"


def blocks(notebook: Any, stem: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """The cells of a notebook as Markdown, one after the other; `pictures` is filled with the images, by file name."""
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield source.replace("<details>", "<details markdown>")
            continue
        yield f"```python\n{source}\n```"
        for output in cell["outputs"]:
            shown = output.get("data", {})
            if "image/png" in shown:
                name = f"{stem}-{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode("".join(shown["image/png"]))
                yield f"![{output['metadata']['image/png']['alt']}]({name})"
            else:
                printed = "".join(output["text"] if "text" in output else shown["text/plain"]).rstrip("\n")
                yield f"``` {{ .text .output .no-copy }}\n{printed}\n```"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links that are right in the repository become right in the site, where docs/ is the root.

    Those to files of the repository that the site lacks become words; those to nothing are left, and fail the build.
    Those to a notebook lead to its page, which offers the notebook itself at its top.
    """
    here = page.file.src_uri
    of_docs = (ROOT / "docs" / here).is_file()

    def moved(found: re.Match[str]) -> Any:
        mark, words, target, anchor = found.groups()
        inside = posixpath.normpath(posixpath.join("docs" * of_docs, posixpath.dirname(here), target))
        name = re.sub(r"^(lessons/.*)\.ipynb$", r"\1.md", inside.removeprefix("docs/"))
        if files.get_file_from_path(name) is not None:
            return f"{mark}[{words}]({posixpath.relpath(name, posixpath.dirname(here) or '.')}{anchor or ''})"
        return words if (ROOT / inside).exists() and not mark else found.group()

    text = LINK.sub(moved, markdown)
    notebook = posixpath.basename(here).replace(".md", ".ipynb")
    if not here.startswith("lessons/") or LESSONS / notebook not in NOTEBOOKS:
        return text
    title, needs, rest = text.split("\n\n", 2)
    return f"{title}\n\n{needs} [Download the notebook]({notebook}){{ download }} to run it.\n\n{rest}"
