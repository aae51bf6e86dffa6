"""What mkdocs is told at build time: pages that live beside their code, and the lessons that are there."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
BESIDE = ("hardware/README.md", "weights/README.md", "weights/recipe/README.md", "benchmarks/figure.png")
LESSONS = ROOT / "lessons"
SHOWN = {".md", ".ipynb", ".png", ".svg", ".jpg", ".html"}  # of a lesson's folder
LINK = re.compile(r"(!?)\[((?:[^\[\]]|!?\[[^\[\]]*\])*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lessons stand in the navigation when there are any."""
    if (LESSONS / "README.md").is_file() and config.nav is not None:
        config.nav.insert(2, {"Lessons": "lessons/README.md"})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take pages from outside docs/ under the paths that they have in the repository."""
    lessons = LESSONS.rglob("*") if LESSONS.is_dir() else []
    for path in [*(ROOT / name for name in BESIDE), *(one for one in sorted(lessons) if one.suffix in SHOWN)]:
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(ROOT).parts):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links that are right in the repository become right in the site, where docs/ is the root.

    Those to files of the repository that the site lacks become words; those to nothing are left, and fail the build.
    """
    here = page.file.src_uri
    of_docs = (ROOT / "docs" / here).is_file()

    def moved(found: re.Match[str]) -> Any:
        mark, words, target, anchor = found.groups()
        inside = posixpath.normpath(posixpath.join("docs" * of_docs, posixpath.dirname(here), target))
        name = inside.removeprefix("docs/")
        if files.get_file_from_path(name) is not None:
            return f"{mark}[{words}]({posixpath.relpath(name, posixpath.dirname(here) or '.')}{anchor or ''})"
        return words if (ROOT / inside).exists() and not mark else found.group()

    return LINK.sub(moved, markdown)
