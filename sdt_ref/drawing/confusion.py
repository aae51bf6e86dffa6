"""Which class is taken for which, as a map, and the accuracy of each class beside it."""

import math
import os

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from ..errors import spelled
from ..measuring.confusion import Confusion
from . import canvas

FEW = 20  # classes that are named, each with its numbers
CELL = 0.42  # inches
SIDE = 6.0  # of the map of more classes
MOST_CELLS = 250  # along a side; more classes are added up, several in a cell
LONGEST_NAME = 32  # characters
DARK = 0.35  # share from which numbers are white


@canvas.own_style()
def draw(path: str | os.PathLike[str], confusion: Confusion) -> None:
    """Draw what was counted to a file; raises ConfigError when it cannot be written."""
    canvas.save(figure(confusion), path)


def figure(confusion: Confusion) -> Figure:
    """Lay out the picture: rows are labels; colours are shares of a row."""
    K, right, n = len(confusion.classes), int(confusion.counts.trace()), int(confusion.counts.sum())
    is_few = K <= FEW
    side = max(CELL * K, 2.0) if is_few else SIDE
    made = Figure(figsize=(side * 1.45 + 2.8, side + 1.9), layout="constrained")
    left, beside = made.subplots(1, 2, width_ratios=(1, 0.45))
    if is_few:
        _draw_cells(left, confusion)
        _draw_bars(beside, confusion)
        beside.set_ylim(left.get_ylim())
    else:
        _draw_map(left, confusion.counts)
        _draw_sorted(beside, confusion)
    beside.set(xlim=(0, 1), xlabel="accuracy, and\n95 % interval")
    beside.xaxis.set_major_formatter("{x:.0%}")
    beside.set_xticks([0, 0.5, 1])
    beside.spines[["top", "right"]].set_visible(False)
    share = f", {right / n:.2%}" if n else ""
    made.suptitle(f"{right:,} of {n:,} right{share}", fontsize=10)
    return made


def _draw_cells(axes: Axes, confusion: Confusion) -> None:
    """The matrix with its numbers."""
    counts, names = confusion.counts, [_short(name) for name in confusion.classes]
    shares = _shares(counts)
    axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1), aspect="auto")
    digits = len(f"{counts.max():,}")
    size = min(8, 8 * 5 / digits)
    for label, predicted in zip(*counts.nonzero(), strict=True):
        color = "white" if shares[label, predicted] > DARK else "black"
        text = f"{counts[label, predicted]:,}"
        axes.text(predicted, label, text, ha="center", va="center", color=color, fontsize=size)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8, parse_math=False)
    axes.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
    axes.set(xlabel="predicted", ylabel="label")


def _draw_bars(axes: Axes, confusion: Confusion) -> None:
    """A bar for each class that has images, in the rows of the matrix."""
    for label, each in enumerate(confusion.per_class()):
        if each.accuracy is not None and each.interval is not None:
            low, high = each.interval
            axes.barh(label, each.accuracy, 0.7, color=canvas.SKY)
            axes.plot([low, high], [label, label], color=canvas.BLACK, linewidth=1)
    axes.set_yticks([])


def _draw_map(axes: Axes, counts: np.ndarray) -> None:
    """The matrix of many classes as a map, in which neighbouring classes may share a cell."""
    K = len(counts)
    step = math.ceil(K / MOST_CELLS)
    firsts = np.arange(0, K, step)
    cells = np.add.reduceat(np.add.reduceat(counts, firsts, axis=0), firsts, axis=1)
    extent = (-0.5, len(firsts) * step - 0.5, len(firsts) * step - 0.5, -0.5)
    shown = axes.imshow(
        _shares(cells), cmap="Blues", norm=PowerNorm(0.3, 0, 1), extent=extent, interpolation="nearest", aspect="auto"
    )
    several = f" ({step} classes in a cell)" if step > 1 else ""
    axes.set(xlabel=f"number of the predicted class{several}", ylabel="number of the label's class")
    bar = axes.figure.colorbar(
        shown, ax=axes, location="top", shrink=0.6, ticks=[0, 0.01, 0.1, 0.5, 1], format="{x:.0%}"
    )
    bar.set_label("share of a row", fontsize=8)
    bar.ax.tick_params(labelsize=8)


def _draw_sorted(axes: Axes, confusion: Confusion) -> None:
    """The accuracies of many classes as one area, the lowest above, and their intervals around its edge."""
    worst = confusion.worst(len(confusion.classes))
    if not worst:
        return
    rows = np.arange(len(worst) + 1) - 0.5
    accuracy, low, high = (
        np.array([value for value in values for _ in range(2)])
        for values in zip(*((each.accuracy, *(each.interval or ())) for each in worst), strict=True)
    )
    rows = np.repeat(rows, 2)[1:-1]
    axes.fill_betweenx(rows, accuracy, color=canvas.SKY, linewidth=0)
    axes.fill_betweenx(rows, low, high, color=canvas.BLACK, alpha=0.25, linewidth=0)
    axes.plot(accuracy, rows, color=canvas.BLACK, linewidth=1)
    axes.set_ylim(len(worst) - 0.5, -0.5)
    axes.set_ylabel("classes, by accuracy")


def _shares(counts: np.ndarray) -> np.ndarray:
    """Of each row; 0 where it has no images."""
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _short(name: str) -> str:
    """A name whose beginning and end are left, as names often differ there."""
    name = spelled(name)
    half = (LONGEST_NAME - 3) // 2
    return name if len(name) <= LONGEST_NAME else f"{name[:half]}...{name[-half:]}"
