"""A recording on its way: its events over time, the frames made of them, and the spikes of each stage."""

import os
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from ..camera.recording import EventFile, Survey
from ..engine.events import SpikeEvents
from ..result import Result
from ..weights.names import group, short, stage_of
from . import canvas

BINS = 120  # of the time, at most
LETTERS = 11  # of the title in an inch, and a few to spare
MOST_STEPS = 16  # columns; of more steps some are shown
TILE, LEFT, RIGHT = 0.62, 1.75, 0.85  # inches
TOP, EVENTS, FRAME, GAP = (
    0.62,
    1.1,
    0.34,
    0.05,
)  # heights in inches: title, events, heading of the frames, between tiles
ON, OFF = canvas.ORANGE, canvas.BLUE
SMALL = 8  # points


@canvas.own_style()
def draw(
    path: str | os.PathLike[str], recording: EventFile, survey: Survey, frames: np.ndarray, result: Result
) -> None:
    """Draw one recording and its run, with spikes recorded.

    Parameters
    ----------
    frames : [T, 2, H, W], as the network reads them
    """
    T = len(frames)
    steps = np.unique(np.linspace(0, T - 1, min(T, MOST_STEPS)).round().astype(int))
    maps = {hook: np.diff(s.offsets).reshape(s.grid)[:, 0] for hook, s in _events_of(result) if len(s.grid) == 4}
    rows = len(maps) + 1
    width = LEFT + RIGHT + len(steps) * (TILE + GAP)
    height = TOP + EVENTS + FRAME + rows * (TILE + GAP) + 0.55
    figure = Figure((max(width, 6.5), height))
    width = figure.get_figwidth()

    def axes(left: float, top: float, w: float, h: float) -> Axes:
        return figure.add_axes((left / width, 1 - (top + h) / height, w / width, h / height))

    what = f"{recording.format}, {survey.events:,} events in {survey.duration / 1000:,.1f} ms"
    name = _shortened(os.path.basename(recording.name), int(width * LETTERS) - len(what))
    figure.text(0.15 / width, 1 - 0.28 / height, f"{name}: {what}", fontsize=11, parse_math=False)  # $ is a letter
    _events(axes(LEFT, TOP, width - LEFT - RIGHT, EVENTS - 0.45), recording, survey)
    top = TOP + EVENTS + FRAME
    shown = "" if len(steps) == T else f" ({len(steps)} of them)"
    heading = f"{T} frame{'s' * (T > 1)}{shown}, and spikes per pixel"
    figure.text(0.15 / width, 1 - (top - 0.3) / height, heading, fontsize=9)
    for column, t in enumerate(steps):
        left = LEFT + column * (TILE + GAP)
        tile = axes(left, top, TILE, TILE)
        tile.imshow(_in_colours(frames[t], frames.max()), interpolation="nearest")
        tile.set_title(f"t = {t}", fontsize=SMALL, pad=2)
        _bare(tile)
        for row, spikes in enumerate(maps.values(), 1):
            tile = axes(left, top + row * (TILE + GAP), TILE, TILE)
            tile.imshow(spikes[t], vmin=0, vmax=max(1, spikes.max()), cmap="cividis", interpolation="nearest")
            _bare(tile)
    labels = ["frames", *(_in_words(hook) for hook in maps)]
    notes = ["ON, OFF", *(f"{s.firing_rate:.1%}" for hook, s in _events_of(result) if hook in maps)]
    for row, (label, note) in enumerate(zip(labels, notes, strict=True)):
        y = 1 - (top + row * (TILE + GAP) + TILE / 2) / height
        figure.text((LEFT - 0.1) / width, y, label, ha="right", va="center", fontsize=SMALL)
        figure.text((LEFT + len(steps) * (TILE + GAP) + 0.05) / width, y, note, va="center", fontsize=SMALL)
    foot = "bright: many channels spike, on a scale for each row; right: firing rate"
    figure.text(LEFT / width, 0.2 / height, foot, fontsize=SMALL, color="0.35")
    canvas.save(figure, path)


def _shortened(name: str, most: int) -> str:
    """A name of at most so many letters, its end kept."""
    half = max(most, 8) // 2
    return name if len(name) <= 2 * half else f"{name[: half - 2]}...{name[-half + 1 :]}"


def _events_of(result: Result) -> Iterator[tuple[str, SpikeEvents]]:
    for hook, spikes in result.spikes.items():
        assert isinstance(spikes, SpikeEvents)
        yield hook, spikes


def _in_words(hook: str) -> str:
    """'MS_SSA_Conv0_q_lif' -> 'block 0: Q'."""
    stage = stage_of(hook)
    return f"{group(stage)}: {short(stage)}"


def _events(axes: Axes, recording: EventFile, survey: Survey) -> None:
    """Events per time: ON upwards, OFF downwards."""
    bins = min(BINS, survey.duration + 1)  # no finer than microseconds
    edges = np.linspace(survey.first, survey.last + 1, bins + 1)
    counts = np.zeros((2, bins))
    for events in recording.read():
        for polarity in (0, 1):
            counts[polarity] += np.histogram(events.t[events.p == polarity], edges)[0]
    milliseconds = (edges - survey.first) / 1000
    for sign, polarity, colour in ((1, 1, ON), (-1, 0, OFF)):
        axes.stairs(sign * counts[polarity], milliseconds, fill=True, color=colour)
    most = max(counts.max(), 1)
    axes.set_xlim(0, milliseconds[-1])
    axes.set_ylim(-1.1 * most, 1.1 * most)
    axes.axhline(0, color="0.3", linewidth=0.6)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{abs(y):,.0f}"))
    axes.tick_params(labelsize=SMALL)
    axes.set_xlabel("ms", fontsize=SMALL, labelpad=1)
    axes.set_ylabel(f"events per {milliseconds[1]:.2g} ms", fontsize=SMALL)
    for y, name, colour in ((0.98, "ON", ON), (0.02, "OFF", OFF)):
        at = "top" if y > 0.5 else "bottom"
        axes.text(1.01, y, name, transform=axes.transAxes, va=at, color=colour, fontsize=SMALL)
    for side_name in ("top", "right"):
        axes.spines[side_name].set_visible(False)


def _in_colours(frame: np.ndarray, most: float) -> np.ndarray:
    """Counts [2, H, W] -> RGB [H, W, 3] on white: ON orange, OFF blue, both dark."""
    inks = np.array([[int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)] for colour in (OFF, ON)])
    strength = np.sqrt(frame / max(most, 1))[..., None]  # faint counts show, too
    return np.prod(1 - strength * (1 - inks[:, None, None]), axis=0)


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("0.75")
