"""Figures in a notebook: one look for all lessons, and words for those who do not see them.

No pyplot, so that nothing is shown twice or stays open; no IPython, which asks an object itself how it is shown.
"""

import base64
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from . import canvas

DPI = 110  # 7.2 inches are then as wide as a notebook's column
COLOURS = 128  # of the palette that a figure is stored with: a third of the bytes


@dataclass(frozen=True)
class Picture:
    """A figure and its words: what is to be seen, as the alternative text of the image and as plain text."""

    figure: Figure
    words: str

    @canvas.own_style()
    def png(self) -> bytes:
        """The image, small."""
        for axes in self.figure.axes:
            axes.title.set_fontsize(9)
            for text in (axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels(), *axes.get_yticklabels()):
                text.set_fontsize(8)
            if (legend := axes.get_legend()) is not None:
                legend.set_frame_on(False)
                for text in legend.get_texts():
                    text.set_fontsize(8)
        for text in self.figure.findobj(Text):  # of what a lesson added by itself
            text.set_usetex(False)
        raw, small = io.BytesIO(), io.BytesIO()
        self.figure.savefig(raw, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.04)
        image = Image.open(raw).convert("RGB")
        image.quantize(COLOURS, dither=Image.Dither.NONE).save(small, "png", optimize=True)
        return small.getvalue()

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        image = base64.b64encode(self.png()).decode()
        return {"image/png": image, "text/plain": self.words}, {"image/png": {"alt": self.words}}


@canvas.own_style()
def panels(
    rows: int = 1, columns: int = 1, width: float = 7.2, height: float = 2.2, **options: Any
) -> tuple[Figure, Any]:
    """A figure and its axes, as `matplotlib.pyplot.subplots` gives them; sizes in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, **options)
    for each in np.atleast_1d(axes).flat:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


@canvas.own_style()
def show_map(axes: Axes, values: np.ndarray, title: str = "", **options: Any) -> Any:
    """Draw [H, W] as a picture without ticks, one square per value; True and False, or 0 and 1, in blue and white."""
    values = np.asarray(values)
    if values.ndim == 2 and values.dtype.kind in "bu":
        options = {"cmap": ListedColormap(["white", canvas.BLUE]), "vmin": 0, "vmax": 1, **options}
    drawn = axes.imshow(values, interpolation="nearest", **options)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("silver")
    axes.set_title(title)
    return drawn
