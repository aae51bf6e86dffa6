"""What quantisation costs: accuracy over the bits of the weights; beside it the labels that change."""

import os
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..sweeping.grid import Outcome, Point, Row
from ..sweeping.table import NOT_HELD
from . import canvas

COLOURS = (canvas.BLUE, canvas.ORANGE, canvas.GREEN, canvas.RED, canvas.PURPLE, canvas.SKY, canvas.BLACK)
STYLES = tuple((colour, marker) for marker, colour in product("osD^vX", COLOURS))  # as many lines are told apart
WIDTH, PANEL, MARGIN = 8.0, 2.9, 0.7  # inches
LEGEND_LINE = 0.2
IN_A_ROW = 4  # of the legend
SPREAD = 0.6  # of the distance of two widths, over which the intervals of one are laid side by side

MOST_STEPS = 32  # values of T: more rows of panels make a picture that no program opens

Bits = tuple[int, int]  # of membranes and stream


@canvas.own_style()
def draw(path: str | os.PathLike[str], outcome: Outcome) -> None:
    """Draw a grid to a file: for each T two panels, with a line for each width of membranes and stream."""
    fixed = [row for row in outcome.rows if row.point.bits]
    steps = list(dict.fromkeys(row.point.time_steps for row in fixed))
    lines, widths = _lines(fixed), sorted({weight for weight, *_ in map(_bits, fixed)})
    height = MARGIN + PANEL * len(steps) + LEGEND_LINE * -(-(len(lines) + 1) // IN_A_ROW)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = figure.subplots(len(steps), 2, sharex=True, sharey="col", squeeze=False)
    for T, (accuracy, flips) in zip(steps, panels, strict=True):
        _draw_lines(accuracy, flips, lines, widths, T)
        _draw_reference(accuracy, outcome.rows, T)
        accuracy.set_ylabel("top-1, %")
        flips.set_ylabel("flips against float32, %")
        accuracy.set_title(f"T = {T}", fontsize=10, loc="left")
        for axes in (accuracy, flips):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="y", alpha=0.3)
            axes.set_axisbelow(True)
    for axes in panels[-1]:
        axes.set_xticks(range(len(widths)), map(str, widths))
        axes.set_xlim(-0.6, len(widths) - 0.4)
        axes.set_xlabel("bits of the weights")
    flips.set_ylim(0, max(1.0, flips.get_ylim()[1]))
    shown = accuracy.get_legend_handles_labels()
    figure.legend(*shown, loc="outside lower center", ncols=IN_A_ROW, fontsize=8, frameon=False)
    n = outcome.images
    figure.suptitle(f"{n:,} image{'s' * (n != 1)}; whiskers: 95 % intervals", fontsize=10)
    canvas.save(figure, path)


def _bits(row: Row) -> tuple[int, int, int]:
    assert row.point.bits
    return row.point.bits


def _lines(rows: Sequence[Row]) -> Mapping[Bits, Sequence[Row]]:
    """The rows of each line that have numbers, from the narrowest weights to the widest; those without any last."""
    lines: dict[Bits, list[Row]] = {}
    for row in sorted(rows, key=_bits):
        _, *others = _bits(row)
        lines.setdefault((others[0], others[1]), []).extend([row] if row.images else [])
    return dict(sorted(lines.items(), key=lambda line: (not line[1], line[0])))


def _draw_lines(
    accuracy: Axes, flips: Axes, lines: Mapping[Bits, Sequence[Row]], widths: Sequence[int], T: int
) -> None:
    """The rows of one T; the lines stand beside each other, so that no interval hides another."""
    number = sum(bool(rows) for rows in lines.values())
    for n, ((membrane, stream), whole) in enumerate(lines.items()):
        colour, marker = STYLES[n % len(STYLES)]
        rows = [row for row in whole if row.point.time_steps == T]
        x = [widths.index(_bits(row)[0]) + SPREAD * ((n + 0.5) / number - 0.5) for row in rows]
        y = np.array([row.right / row.images for row in rows])
        whiskers = np.abs(np.array([row.interval for row in rows]).reshape(-1, 2).T - y)
        label = f"membranes {membrane}, stream {stream}{'' if whole else f': {NOT_HELD}'}"
        accuracy.errorbar(
            x, 100 * y, 100 * whiskers, color=colour, marker=marker, markersize=4, linewidth=1.2, capsize=2,
            elinewidth=0.8, label=label,
        )  # fmt: skip
        share = [100 * row.flips / row.images for row in rows]
        flips.plot(x, share, color=colour, marker=marker, markersize=4, linewidth=1.2)


def _draw_reference(axes: Axes, rows: Sequence[Row], T: int) -> None:
    for row in rows:
        if row.point == Point(T) and row.top1 is not None:
            axes.axhline(100 * row.top1, color=canvas.BLACK, linestyle="--", linewidth=1, label="float32")
