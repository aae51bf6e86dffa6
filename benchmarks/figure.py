"""One picture of what was measured: engines, firing rates, growth."""

import statistics
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, NullLocator

from sdt_ref.drawing import canvas

from .compare import Row
from .engines import ENGINES, OURS
from .growth import Growth
from .sweep import Point

COLOURS = dict(zip(ENGINES, ("tab:red", "C0", "C1", "C2", "C4", "C5", "C6", "C7", "C8"), strict=True))
TICKS = (1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


@canvas.own_style()
def draw(path: Path, engines: dict[str, list[Row]], sweep: list[Point], growths: list[Growth]) -> None:
    """Draw what there is; engines by network and batch."""
    panels = [(draw_engines, engines), (draw_sweep, sweep), (draw_growth, growths)]
    filled = [(drawing, data) for drawing, data in panels if data]
    figure = Figure(figsize=(6 * len(filled), 5.2), layout="constrained")
    axes = figure.subplots(1, len(filled), squeeze=False)
    for ax, (drawing, data) in zip(axes[0], filled, strict=True):
        drawing(ax, data)
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def draw_engines(ax: Axes, engines: dict[str, list[Row]]) -> None:
    """How many times as long as the event engine each float32 engine takes, network by network."""
    names = list(dict.fromkeys(row.name for rows in engines.values() for row in rows if row.kind == "float32"))
    names.remove(OURS)
    largest = 1.0
    for name in names:
        at = [
            (j, row.ratio) for j, rows in enumerate(engines.values()) for row in rows if row.name == name and row.ours
        ]
        x, y = [ratio for _, ratio in at], [j for j, _ in at]
        ax.plot(x, y, "o", color=COLOURS[name], markersize=9, alpha=0.8, label=name)
        for j, ratio in at:
            ax.annotate(f"{ratio:.1f}", (ratio, j), (0, 8), textcoords="offset points", ha="center", fontsize=7)
            largest = max(largest, ratio)
    ax.axvline(1, color=COLOURS[OURS], label=OURS)
    ax.set_yticks(range(len(engines)), engines)
    ax.set_ylim(len(engines) - 0.5, -0.5)
    ax.set_xscale("log", base=2)
    ax.set_xlim(0.8, 1.3 * largest)
    ax.set_xticks([tick for tick in TICKS if tick <= 1.3 * largest])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.grid(axis="x", alpha=0.3)
    ax.set_xlabel("times as long as sdt_ref (logarithmic)")
    ax.set_title("Engines on the same cores, float32")
    ax.legend(fontsize=8)


def draw_sweep(ax: Axes, sweep: list[Point]) -> None:
    """Time against one common firing rate."""
    for name in dict.fromkeys(name for point in sweep for name in point.seconds):
        x = [point.rate for point in sweep]
        y = [1000 * statistics.median(point.seconds[name]) for point in sweep]
        ax.plot(x, y, "o-", color=COLOURS[name], label=name)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks([point.rate for point in sweep])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    ax.set_xlabel("firing rate of all layers")
    ax.set_ylabel("ms per image")
    ax.set_title("Where dense would win")
    ax.legend(fontsize=8)


def draw_growth(ax: Axes, growths: list[Growth]) -> None:
    """Every growth from its smallest case on."""
    for growth in growths:
        if not growth.points:
            continue
        x, y = (np.array(values) / values[0] for values in zip(*growth.points, strict=True))
        ax.plot(x, y, "o-", label=f"{growth.name}: {growth.quantity}, slope {growth.slope:.2f}")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("quantity, relative to its smallest case")
    ax.set_ylabel("time that spikes cost, relative to the smallest case")
    ax.set_title("Cost that grows with the work")
    ax.legend(fontsize=8)
