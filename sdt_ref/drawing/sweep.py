"""What quantisation costs: accuracy over the bits of the weights; beside it the labels that change."""

import os
from collections.abc import Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..sweeping.grid import Outcome, Row
from . import canvas

COLOURS = (canvas.BLUE, canvas.ORANGE, canvas.GREEN, canvas.RED, canvas.PURPLE, canvas.SKY, canvas.BLACK)
STYLES = tuple((colour, marker) for marker, colour in product("osD^vX", COLOURS))  # as many lines are told apart
WIDTH, HEIGHT = 8.0, 3.6  # inches, without the legend
LEGEND_LINE = 0.2
IN_A_ROW = 3  # of the legend
SPREAD = 0.5  # of the least distance of two widths, over which the intervals of one are laid side by side


@canvas.own_style()
def draw(path: str | os.PathLike[str], outcome: Outcome) -> None:
    """Draw a grid to a file, with a line for each T and widths of membranes and stream, which the legend names."""
    lines, widths = _lines(outcome.rows)
    legend = -(-(len(lines) + 1) // IN_A_ROW)
    figure = Figure(figsize=(WIDTH, HEIGHT + LEGEND_LINE * legend), layout="constrained")
    accuracy, flips = figure.subplots(1, 2)
    gap = min(np.diff(widths), default=1)
    for n, (words, rows) in enumerate(lines.items()):
        colour, marker = STYLES[n % len(STYLES)]
        held = [row for row in rows if row.images]
        x = np.array([row.point.widths.weight for row in held if row.point.widths])
        x = x + gap * SPREAD * ((n + 0.5) / len(lines) - 0.5)
        low_and_high = np.array([row.interval for row in held]).reshape(-1, 2).T
        y = np.array([row.right / row.images for row in held])
        how = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.2}
        accuracy.errorbar(x, 100 * y, 100 * np.abs(low_and_high - y), capsize=2, elinewidth=0.8, label=words, **how)
        flips.plot(x, [100 * row.flips / row.images for row in held], **how)
    _draw_references(accuracy, outcome.rows)
    for axes, what in ((accuracy, "top-1, %"), (flips, "labels other than float32's, %")):
        axes.set_xticks(widths)
        axes.set_xlim(widths[0] - 0.6 * gap, widths[-1] + 0.6 * gap)
        axes.set_xlabel("bits of the weights")
        axes.set_ylabel(what)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
    flips.set_ylim(0, None)
    figure.legend(
        *accuracy.get_legend_handles_labels(), loc="outside lower center", ncols=IN_A_ROW, fontsize=8, frameon=False
    )
    figure.suptitle(f"{outcome.images:,} images; whiskers: 95 % intervals", fontsize=10)
    canvas.save(figure, path)


def _lines(rows: Sequence[Row]) -> tuple[dict[str, list[Row]], list[int]]:
    """The rows of each line, by its words in the legend; and all widths of the weights, ascending."""
    steps = {row.point.time_steps for row in rows}
    lines: dict[str, list[Row]] = {}
    for row in sorted((row for row in rows if row.point.widths), key=lambda row: row.point.bits or ()):
        _, membrane, stream = row.point.bits or (0, 0, 0)
        words = f"membranes {membrane}, stream {stream}"
        lines.setdefault(f"T = {row.point.time_steps}, {words}" if len(steps) > 1 else words, []).append(row)
    return lines, sorted({row.point.widths.weight for row in rows if row.point.widths})


def _draw_references(axes: Axes, rows: Sequence[Row]) -> None:
    """A dashed line for float32 at each T, which is named where there are more."""
    references = [row for row in rows if row.point.widths is None and row.images]
    for n, row in enumerate(references):
        y = 100 * row.right / row.images
        axes.axhline(y, color=canvas.BLACK, linestyle="--", linewidth=1, label="" if n else "float32")
        if len(references) > 1:
            axes.annotate(
                f"T = {row.point.time_steps}", (1, y), (0, 2), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="right", fontsize=7,
            )  # fmt: skip
