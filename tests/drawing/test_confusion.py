"""The picture of the confusion matrix: it follows the numbers, and any names and numbers of classes fit the sheet."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sdt_ref.measuring.confusion import Confusion

pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[report]'")


def of(names: list[str], images: int = 2000) -> Confusion:
    rng, K = np.random.default_rng(1), len(names)
    confusion = Confusion(names)
    labels = rng.integers(0, K, images)
    confusion.add(labels, np.where(rng.random(images) < 0.8, labels, rng.integers(0, K, images)))
    return confusion


def figure_of(confusion: Confusion) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from sdt_ref.drawing.confusion import figure

    made = figure(confusion)
    FigureCanvasAgg(made).draw()
    return made


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_every_number_of_few_classes_stands_in_its_cell() -> None:
    confusion = of(["cat", "dog", "$x^2$"])
    confusion.counts[0, 1] = 1234
    matrix, bars = figure_of(confusion).axes
    placed = {(text.get_position(), text.get_text()) for text in matrix.texts}
    counts = confusion.counts
    assert placed == {((c, r), f"{counts[r, c]:,}") for r in range(3) for c in range(3) if counts[r, c]}
    assert [label.get_text() for label in matrix.get_yticklabels()] == ["cat", "dog", "$x^2$"]
    assert [bar.get_width() for bar in bars.patches] == [each.accuracy for each in confusion.per_class()]
    whiskers = [tuple(line.get_xdata()) for line in bars.lines]
    assert whiskers == [each.interval for each in confusion.per_class()]


def test_the_map_of_many_classes_adds_up_to_all_images() -> None:
    from sdt_ref.drawing.confusion import MOST_CELLS

    confusion = of([str(k) for k in range(601)], 20_000)
    image, edge, *_ = figure_of(confusion).axes
    shares = np.asarray(image.images[0].get_array())
    assert shares.shape == (201, 201)
    assert max(shares.shape) <= MOST_CELLS
    three = confusion.counts[300:303]
    assert shares[100, 100] == three[:, 300:303].sum() / three.sum()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    lowest = sorted(each.accuracy for each in confusion.per_class() if each.accuracy is not None)
    np.testing.assert_array_equal(edge.lines[0].get_xdata()[::2], lowest)


LONG = [f"a class whose name is long, and longer still, {k}" for k in range(20)]
NAMES = {
    "two": ["yes", "no"],
    "ten": [f"class {k}" for k in range(10)],
    "long names": LONG,
    "hostile names": ["$", "$\\frac{", "\x1b[31m\n\n\n", "\udcff", "", "\N{CAT FACE}", "_^", "\u200f\u202e"],
    "many": [str(k) for k in range(21)],
    "a thousand": [str(k) for k in range(1000)],
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("what", NAMES)
@pytest.mark.parametrize("images", [0, 1, 9_000_000])
def test_nothing_leaves_the_sheet(what: str, images: int) -> None:
    confusion = of(NAMES[what], min(images, 5000))
    confusion.counts *= max(1, images // 5000)
    made = figure_of(confusion)
    sheet = made.bbox
    for axes in made.axes:
        box = axes.get_tightbbox()
        assert sheet.x0 <= box.x0 < box.x1 <= sheet.x1
        assert sheet.y0 <= box.y0 < box.y1 <= sheet.y1


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_picture_is_written(ending: str, tmp_path: Path) -> None:
    from sdt_ref.drawing.confusion import draw

    path = tmp_path / f"c.{ending}"
    draw(path, of(NAMES["hostile names"]))
    begin = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(begin)
    if ending == "png":
        before = np.asarray(Image.open(path).convert("RGB"))
        other = of(NAMES["hostile names"])
        other.counts[3, 4] += 9
        draw(path, other)
        assert (np.asarray(Image.open(path).convert("RGB")) != before).any()
