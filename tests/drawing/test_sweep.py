"""The figure of `sweep`: every mark stands where its row says."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from sdt_ref.sweeping.grid import Outcome, Point, Row

pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[report]'")

from sdt_ref.drawing import canvas
from sdt_ref.drawing.sweep import draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMAGES = 1000


def outcome(
    steps: Sequence[int], weights: Sequence[int], membranes: Sequence[int], narrow: Sequence[int] = ()
) -> Outcome:
    """Rows with numbers of their own; those with a membrane of `narrow` bits do not hold."""
    rows = []
    for T in steps:
        rows.append(Row(Point(T), IMAGES, 800 + T))
        for n, bits in enumerate((w, m) for w in weights for m in membranes):
            point = Point(T, (*bits, 12))
            held = Row(point, IMAGES, 700 + 10 * T + n % 90, 50 + n)
            rows.append(Row(point, refused="too narrow") if bits[1] in narrow else held)
    return Outcome(rows, 64, [], Counter())


def drawn(of: Outcome, monkeypatch: pytest.MonkeyPatch) -> "Figure":
    figures: list[Figure] = []
    monkeypatch.setattr(canvas, "save", lambda figure, _: figures.append(figure))
    draw("unused.png", of)
    return figures[0]


def test_every_mark_stands_where_its_row_says(monkeypatch: pytest.MonkeyPatch) -> None:
    of = outcome([1, 4], [4, 6, 8], [8, 16])
    figure = drawn(of, monkeypatch)
    panels = np.array(figure.axes).reshape(2, 2)
    for T, (accuracy, flips) in zip((1, 4), panels, strict=True):
        reference, *rows = [row for row in of.rows if row.point.time_steps == T]
        (dashed,) = [line for line in accuracy.lines if line.get_linestyle() == "--"]
        assert set(dashed.get_ydata()) == {100 * reference.top1}
        for k, (bars, line) in enumerate(zip(accuracy.containers, flips.lines, strict=True)):
            of_line = rows[k::2]
            marks, _, (whiskers,) = bars
            assert bars.get_label() == f"membranes {(8, 16)[k]}, stream 12"
            assert np.rint(np.array(marks.get_xdata(), float)).tolist() == [0, 1, 2]
            np.testing.assert_allclose(marks.get_ydata(), [100 * row.top1 for row in of_line])
            for segment, row in zip(whiskers.get_segments(), of_line, strict=True):
                np.testing.assert_allclose(segment[:, 1], np.multiply(100, row.interval))
            np.testing.assert_allclose(line.get_ydata(), [100 * row.flips / row.images for row in of_line])
            assert line.get_color() == marks.get_color()
    assert [text.get_text() for text in panels[1, 0].get_xticklabels()] == ["4", "6", "8"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(legend) == ["float32", "membranes 16, stream 12", "membranes 8, stream 12"]


def test_what_does_not_hold_is_named_and_takes_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = drawn(outcome([4], [4, 8], [2, 8], narrow=[2]), monkeypatch)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "membranes 2, stream 12: does not hold" in legend
    marks = figure.axes[0].containers[0][0]
    assert marks.get_xdata().tolist() == [0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("ending", canvas.ENDINGS)
@pytest.mark.parametrize(
    "of",
    [outcome([4], [8], [16]), outcome([4], [8], [2], narrow=[2]), outcome([1, 2], range(2, 17), range(3, 48))],
    ids=["one point", "no point", "many lines"],
)
def test_a_picture_comes_of_one_point_of_none_and_of_many(of: Outcome, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"f{ending}"
    draw(path, of)
    assert path.stat().st_size > 5000
    if ending == ".png":
        with Image.open(path) as picture:
            assert picture.width == 8 * canvas.DPI
