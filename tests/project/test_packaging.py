"""The wheel holds all that a user needs: built, installed into an empty virtual environment, and run from elsewhere."""

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import sdt_ref

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False, timeout=600,
        env={k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_weights_photo_class_names_and_the_pages_parts_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assets = [f"page/assets/{name}" for name in ("page.html.jinja", "page.css", "page.js")]
    for name in (
        "shipped/sdt-2-256-cifar10.h5",
        "shipped/README.md",
        "data/cat.jpg",
        "data/imagenet.txt",
        "network/model.py",
        *assets,
    ):
        assert f"sdt_ref/{name}" in names
    for weights in (ROOT / "weights").glob("*.h5"):
        assert f"sdt_ref/shipped/{weights.name}" in names
    assert not any(name.startswith("tests") or "recipe" in name for name in names)


@pytest.mark.slow
def test_the_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """The dependencies are lent from this environment, so that nothing is downloaded; the package is the wheel's."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, symlinks=os.name == "posix")
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    zipfile.ZipFile(wheel).extractall(site)
    (site / "lent.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}))
    where = run(python, "-c", "import sdt_ref; print(sdt_ref.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(site)
    summary = json.loads(run(python, "-m", "sdt_ref.infer", "--json", "--top", "1", cwd=tmp_path))
    assert summary["predictions"][0]["label"] == "cat"
    run(python, "-m", "sdt_ref.report", "-o", "report.html", cwd=tmp_path)
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    path = run(python, "-c", "import sdt_ref.weights.file as w; print(w.shipped_path())", cwd=tmp_path).strip()
    assert Path(path).parent == site / "sdt_ref" / "shipped"


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == sdt_ref.__version__
    assert project["scripts"]["sdt-ref"] == "sdt_ref.terminal.cli:main"


def test_torch_is_not_needed_to_run() -> None:
    code = "import sys, sdt_ref.attention, sdt_ref.infer, sdt_ref.evaluate, sdt_ref.report; sys.exit(bool({'torch', 'matplotlib', 'jinja2'} & set(sys.modules)))"
    run(sys.executable, "-c", code, cwd=ROOT)
