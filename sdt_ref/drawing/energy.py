"""Where the energy goes: firing rates above, energy below, layer by layer."""

import os

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..cost.account import SYNAPSES, Account, rate
from ..cost.summary import Summary
from ..cost.technology import energy
from . import canvas

WIDTH_OF_LAYER = 0.34  # inches
MARGIN = 1.6


@canvas.own_style()
def draw(path: str | os.PathLike[str], summary: Summary) -> None:
    """Draw a summary to a file; its columns are the weight layers, in the order of the data flow."""
    layers = summary.layers()
    figure = Figure(figsize=(max(6.5, MARGIN + WIDTH_OF_LAYER * len(layers)), 6.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.25))
    _draw_rates(above, summary, layers)
    _draw_energy(below, summary, layers)
    below.set_xlim(-0.8, len(layers) - 0.2)
    below.set_xticks(range(len(layers)), layers, rotation=90, fontsize=8)
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
    n, steps = summary.average.pictures, summary.account.time_steps
    figure.suptitle(
        f"{n:,} input{'s' * (n > 1)} at {summary.size}x{summary.size}, {summary.arithmetic}, {steps} time steps",
        fontsize=10,
    )
    canvas.save(figure, path)


def _draw_rates(axes: Axes, summary: Summary, layers: dict[str, list[str]]) -> None:
    """What each layer reads: a dot for each time step, and the mean as its neurons fire, before any pool."""
    account, steps = summary.account, np.linspace(-0.27, 0.27, summary.account.time_steps)
    for x, stages in enumerate(layers.values()):
        rates = summary.rates(stages[0])
        if rates is None:
            if (stages[0], SYNAPSES) in account.cells:
                axes.annotate(
                    "analog", (x, 0), (0, 4), textcoords="offset points", rotation=90, ha="center", fontsize=8
                )
            continue
        axes.plot(x + steps, _read(account, stages[0]), ".", color=canvas.BLUE, label="is read, at each time step")
        axes.plot([x - 0.35, x + 0.35], [rates[0]] * 2, color=canvas.ORANGE, linewidth=2, label="fires, before pooling")
    axes.set_ylim(0, None)
    axes.set_ylabel("firing rate of the input")
    _legend(axes)


def _read(account: Account, stage: str) -> np.ndarray:
    return rate(account.get(stage, SYNAPSES, "events"), account.get(stage, SYNAPSES, "neurons"))


def _draw_energy(axes: Axes, summary: Summary, layers: dict[str, list[str]]) -> None:
    """The paper's formula beside what was counted; whiskers are the standard deviation over the pictures."""
    counted = energy(summary.account, summary.technology)
    for x, (words, stages) in enumerate(layers.items()):
        kind = SYNAPSES if (stages[0], SYNAPSES) in counted else "attention"
        formula = sum(summary.estimates[stage].energy(summary.technology) for stage in stages) / 1e6
        spent = sum(counted[stage, kind].sum() for stage in stages) / 1e6
        axes.bar(x - 0.2, formula, 0.4, color=canvas.ORANGE, label="by the paper's formula")
        axes.bar(x + 0.2, spent, 0.4, color=canvas.BLUE, label="counted")
        if summary.average.pictures > 1:
            axes.errorbar(x + 0.2, spent, summary.deviation(words) / 1e6, color=canvas.BLACK, linewidth=1)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylabel(f"energy, uJ ({summary.technology.name})".replace("uJ", "\N{MICRO SIGN}J"))
    _legend(axes)


def _legend(axes: Axes) -> None:
    """Each label once."""
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    axes.legend(
        once.values(), once.keys(), fontsize=8, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1)
    )
