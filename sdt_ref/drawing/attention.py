"""The attention of each block and time step, over the photo: which tokens and channels it lets through."""

import math
import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from PIL import Image

from ..errors import ConfigError
from ..measuring.attention_map import AttentionMap
from . import canvas

# inches
TILE, GAP = 1.5, 0.14  # width of a photo, and the space to the next
LINE, LEAST_STRIP = 0.055, 0.14  # height of one line of channels, and of all of them
BETWEEN, NUMBER, TITLE = 0.05, 0.3, 0.24  # heights: from photo to channels, of their number, of a step's title
LEFT, RIGHT = 0.65, 1.15  # margins: for the block's number, and for the scale
SIDE, HEAD = 1.7, 2.0  # height of the photo in the heading, and of the heading
CHARACTER = 0.093  # width of an average one in small type
LARGE, SMALL = 14, 12  # type, points: legible when four tiles are printed in one column of a paper

NARROWEST, MOST_ABREAST = 3, 8  # tiles: what the heading needs, and after how many steps a new row begins
MOST_TILES = 512
MOST_CHANNELS = 128  # in a line; longer heads take several

# from dark to light, so that the order shows to colour-blind eyes and in print without colours, too
SPIKES = LinearSegmentedColormap.from_list("spikes", ["#51127C", "#8C2981", "#DE4968", "#FE9F6D", "#FCFDBF"])
MASK = ListedColormap(["white", "#E4E4E4", canvas.BLUE])  # no channel, stopped, passes
GREY = -109, 309  # shown as black and white: a photo of 0 to 255 is neither as dark nor as light as the squares
EDGE = "#1A1A1A"


def require_tiles(blocks: int, steps: int) -> None:
    """Raise ConfigError when the picture would be too large to be looked at."""
    if blocks * steps > MOST_TILES:
        raise ConfigError(
            f"picture: expected at most {MOST_TILES} maps, found {blocks} blocks x {steps} time steps; "
            "choose with --blocks and --steps"
        )


@canvas.own_style()
def draw(
    path: str | os.PathLike[str], maps: Sequence[AttentionMap], steps: Sequence[int], photo: Image.Image, name: str
) -> None:
    """Write the picture of some blocks and time steps.

    Parameters
    ----------
    maps : of the blocks to show, at least one
    steps : time steps of the maps to show, at least one
    photo : as the network sees it, RGB
    name : of the photo

    Raises ConfigError when the file cannot be written.
    """
    canvas.save(figure(maps, steps, photo, name), path)


def figure(maps: Sequence[AttentionMap], steps: Sequence[int], photo: Image.Image, name: str) -> Figure:
    """Lay out the picture: a row per block, or several where the time steps are many; parameters as in `draw`."""
    rows_per_block = math.ceil(len(steps) / MOST_ABREAST)
    abreast = math.ceil(len(steps) / rows_per_block)
    tall = TILE * photo.height / photo.width
    strip = np.clip(LINE * len(_in_lines(maps[0].mask[0], maps[0].heads)), LEAST_STRIP, TILE)
    row = TITLE + tall + BETWEEN + strip + NUMBER
    sheet = Sheet(
        LEFT + max(abreast, NARROWEST) * (TILE + GAP) - GAP + RIGHT, HEAD + len(maps) * rows_per_block * row + GAP
    )
    _heading(sheet, maps[0], photo, name)
    # finer than the tile, pixels would be picked at random
    grey = photo.convert("L").reduce(max(1, round(photo.width / (TILE * canvas.DPI))))
    for i, attention in enumerate(maps):
        scale = Normalize(0, max(1, int(attention.passing[list(steps)].max())))
        top = HEAD + i * rows_per_block * row + TITLE
        for n, t in enumerate(steps):
            left, upper = LEFT + n % abreast * (TILE + GAP), top + n // abreast * row
            tile = sheet.place(left, upper, TILE, tall)
            tile.set_title(f"step {t}", fontsize=SMALL, pad=4)
            _tokens(tile, grey, attention.passing[t], scale)
            _channels(sheet.place(left, upper + tall + BETWEEN, TILE, strip), attention.mask[t], attention.heads)
        sheet.write(LEFT / 2, top + tall / 2, f"block {attention.block}", LARGE, rotation=90, ha="center", va="center")
        _scale(sheet.place(LEFT + abreast * (TILE + GAP), top, 0.14, tall), scale)
    return sheet.figure


@dataclass(frozen=True)
class Sheet:
    """A figure on which things have places in inches, from its upper left corner."""

    width: float
    height: float
    figure: Figure = field(default_factory=Figure)

    def __post_init__(self) -> None:
        self.figure.set_size_inches(self.width, self.height)

    def place(self, left: float, top: float, width: float, height: float) -> Axes:
        """Make axes of this size."""
        lower = self.height - top - height
        return self.figure.add_axes((left / self.width, lower / self.height, width / self.width, height / self.height))

    def write(self, left: float, top: float, text: str, size: float, **style: str | float) -> Text:
        """Write text as it stands; large type is bold."""
        weight = "bold" if size == LARGE else "normal"
        at = left / self.width, 1 - top / self.height
        return self.figure.text(*at, text, fontsize=size, weight=weight, parse_math=False, **style)  # type: ignore[arg-type]


def _heading(sheet: Sheet, attention: AttentionMap, photo: Image.Image, name: str) -> None:
    wide, high = (SIDE * side / max(photo.size) for side in photo.size)
    axes = sheet.place(LEFT, 0.15, wide, high)
    axes.imshow(photo, interpolation="nearest", aspect="auto")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color("silver")
    left = LEFT + wide + 0.2
    # the font has no more; a missing character would be a warning on the screen and a box in the picture
    known = "".join(c if c.isprintable() else "?" for c in name.encode("latin-1", "replace").decode("latin-1"))
    title = sheet.write(left, 0.12, f"Attention on {known}", LARGE, va="top")
    for kept in range(len(known) - 1, 0, -1):
        if title.get_window_extent().x1 < sheet.figure.bbox.x1:
            break
        title.set_text(f"Attention on {known[: kept // 2]}...{known[len(known) - kept // 2 :]}")
    H, W = attention.passing.shape[1:]
    rows = f"a row for each of {attention.heads} heads" if attention.heads > 1 else "of one head"
    paragraphs = (
        f"Squares: Q spikes of a token ({photo.width // W}x{photo.height // H} pixels) that pass the mask, the more "
        "the larger and brighter; each block has its own scale.",
        f"Blue: channels that pass, {rows}. K AND V of all tokens choose them, for every token.",
    )
    across = int((sheet.width - left) / CHARACTER)
    sheet.write(left, 0.5, "\n".join(textwrap.fill(text, across) for text in paragraphs), SMALL, va="top")


def _tokens(axes: Axes, grey: Image.Image, passing: np.ndarray, scale: Normalize) -> None:
    """Draw the photo, and over each token a square whose area and colour tell how many Q spikes pass; 0: none."""
    H, W = passing.shape
    axes.imshow(
        grey, cmap="gray", vmin=GREY[0], vmax=GREY[1], interpolation="nearest", extent=(0, W, H, 0), aspect="auto"
    )
    y, x = passing.nonzero()
    share = scale(passing[y, x])
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * 0.46
    squares = np.stack([x, y], axis=1)[:, None] + 0.5 + np.sqrt(share)[:, None, None] * corners  # [tokens, 4, 2]
    axes.add_collection(PolyCollection(squares, facecolors=SPIKES(share), edgecolors=EDGE, linewidths=4 / max(H, W, 8)))
    axes.set_axis_off()


def _channels(axes: Axes, mask: np.ndarray, heads: int) -> None:
    """Draw the mask in lines, heads apart, and the number of channels that pass."""
    lines = _in_lines(mask, heads)
    axes.imshow(lines, cmap=MASK, vmin=-1, vmax=1, interpolation="nearest", aspect="auto")
    for line in range(0, len(lines) + 1, len(lines) // heads):
        axes.axhline(line - 0.5, color="white", linewidth=min(0.8, 20 / len(lines)))
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_xlabel(f"{mask.sum():,} of {len(mask):,} pass", fontsize=SMALL, labelpad=2)


def _in_lines(mask: np.ndarray, heads: int) -> np.ndarray:
    """Lay channels [C] out as int8[lines, channels of a line]; a head begins a line, and -1 fills its last one."""
    depth = len(mask) // heads
    per_head = math.ceil(depth / MOST_CHANNELS)
    wide = math.ceil(depth / per_head)
    lines = np.full((heads, per_head * wide), -1, np.int8)
    lines[:, :depth] = mask.reshape(heads, depth)
    return lines.reshape(-1, wide)


def _scale(axes: Axes, scale: Normalize) -> None:
    bar = axes.figure.colorbar(ScalarMappable(scale, SPIKES), cax=axes, ticks=MaxNLocator(4, integer=True))
    axes.tick_params(labelsize=SMALL)
    bar.set_label("spikes per token", fontsize=SMALL)
