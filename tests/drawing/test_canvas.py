"""Pictures come, and are the same, whatever a user's matplotlib settings say."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sdt_ref import attention, energy, infer
from tests import processes
from tests.equality import assert_same

matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[report]'")

SETTINGS: dict[str, dict[str, Any]] = {
    "LaTeX, which is not installed": {"text.usetex": True},
    "LaTeX and pgf": {"text.usetex": True, "text.latex.preamble": r"\usepackage{nothing}", "svg.fonttype": "none"},
    "fonts that are missing": {"font.family": "No Such Font", "mathtext.fontset": "custom", "font.size": 30},
    "another form of files": {"savefig.format": "jpg", "savefig.bbox": "tight", "savefig.dpi": 17, "savefig.transparent": True},
    "another layout": {"figure.autolayout": True, "figure.figsize": (1, 1), "figure.dpi": 300, "figure.facecolor": "red"},
    "another look": {"path.sketch": (1, 100, 2), "axes.grid": True, "image.origin": "lower", "image.cmap": "prism", "lines.linewidth": 0},
}  # fmt: skip


def of_a_recording(path: Path, digit: Path, weights: Path) -> None:
    assert infer.main([str(digit), "--weights", str(weights), "--figure", str(path), "--json"]) == 0


def of_the_attention(path: Path, *_: Path) -> None:
    assert attention.main(["-o", str(path), "--steps", "0", "--json"]) == 0


def of_the_energy(path: Path, digit: Path, weights: Path) -> None:
    assert energy.main([str(digit), "--weights", str(weights), "--plot", str(path), "--json"]) == 0


def of_a_grid(path: Path, *_: Path) -> None:
    from sdt_ref.drawing.sweep import draw
    from tests.drawing.test_sweep import outcome

    draw(path, outcome([1, 4], [4, 8], [8, 16]))


def of_a_lesson(path: Path, *_: Path) -> None:
    from sdt_ref.drawing.notebook import Picture, panels, show_map

    figure, (left, right) = panels(1, 2)
    show_map(left, np.arange(12.0).reshape(3, 4), "a map")
    right.set_ylim(1e-3, 2e-3)
    right.text(0.5, 1.5e-3, "a_b", fontsize=8, family="DejaVu Sans")  # made under the user's own settings
    for axes in (left, right):
        axes.set_xlabel("a_b")
    path.write_bytes(Picture(figure, "").png())


def of_the_benchmarks(path: Path, *_: Path) -> None:
    from benchmarks.figure import draw
    from benchmarks.growth import Growth

    draw(path, {}, [], [Growth("synapses", "events", 1, [1, 2], [1.0, 2.5], [0.5, 0.5])])


DRAWINGS: list[Callable[..., None]] = [
    of_a_recording,
    of_the_attention,
    of_the_energy,
    of_a_grid,
    of_a_lesson,
    of_the_benchmarks,
]


@pytest.mark.slow
@pytest.mark.parametrize("draw", DRAWINGS)
def test_no_setting_changes_a_picture(draw: Callable[..., None], tmp_path: Path, digit: Path, weights: Path) -> None:
    usual = tmp_path / "usual.png"
    draw(usual, digit, weights)
    for name, settings in SETTINGS.items():
        odd = tmp_path / "odd.png"
        with matplotlib.rc_context(settings):
            during = dict(matplotlib.rcParams)
            draw(odd, digit, weights)
            assert dict(matplotlib.rcParams) == during
        assert_same(pixels(odd), pixels(usual), name)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"MPLBACKEND": "nonsense"}, {"MATPLOTLIBRC": "latin-1"}])
def test_settings_with_which_matplotlib_does_not_start_are_one_line(settings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "latin-1").write_bytes(b"text.usetex: True  # \xe4\n")
    command = "sdt_ref.attention", "-o", str(tmp_path / "map.png")
    done = processes.module(
        *command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **settings}
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("error: pictures need matplotlib, which refuses its settings: ")


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))
