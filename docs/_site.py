"""What mkdocs is told at build time: pages that live beside their code, and the lessons that are there."""

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
INTO_DOCS = re.compile(r"\]\((?:\.\./)+docs/")
INTO_ROOT = re.compile(r"\]\(\.\./(?=(?:hardware|weights|benchmarks|lessons)/)")


def _lessons() -> list[Path]:
    return sorted(path for path in LESSONS.rglob("*") if path.suffix in SHOWN) if LESSONS.is_dir() else []


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lessons stand in the navigation when there are any."""
    if (LESSONS / "README.md").is_file() and config.nav is not None:
        config.nav.insert(2, {"Lessons": "lessons/README.md"})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take pages from outside docs/ under the paths that they have in the repository."""
    for path in [*(ROOT / name for name in BESIDE), *_lessons()]:
        if path.is_file():
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links that are right in the repository become right in the site, where docs/ is the root."""
    return INTO_ROOT.sub("](", INTO_DOCS.sub("](../", markdown)) if "/" not in page.file.src_uri else INTO_DOCS.sub(
        "](" + "../" * page.file.src_uri.count("/"), markdown
    )
