"""Small pictures in characters: shades, spike maps, sparklines; for terminals that show nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SHADES, ASCII_SHADES = " ░▒▓█", " .:*#"
BARS, ASCII_BARS = "▁▂▃▄▅▆▇█", "_.:-=+*#"
HALVES, ASCII_HALVES = " ▄▀█", " ,'#"  # of two dots, one above the other: none, the lower, the upper, both
GAP = 2  # columns between pictures


@dataclass(frozen=True, eq=False)
class TextPicture:
    """A picture in characters.

    Attributes
    ----------
    title : above it
    values : [H, W]; bool is drawn as dots, numbers as shades between `least` and their greatest
    coarse : whether it is a picture of few tokens, of which each is drawn two columns wide
    least : number that is drawn as nothing; None gives each shade to as many places, as suits a photo, and equal
        numbers the same shade
    """

    title: str
    values: np.ndarray
    coarse: bool = False
    least: float | None = 0.0

    def lines(self, columns: int, plain: bool = False) -> list[str]:
        """Draw it in at most so many columns; `plain` uses ASCII alone. A character is about twice as high as wide."""
        values = self.values
        if self.coarse and 2 * values.shape[1] <= columns:
            return _shaded(np.repeat(values, 2, axis=1).astype(float), self.least, plain)
        if values.dtype == np.bool_ and values.shape[1] <= columns:
            return _dotted(values, plain)
        factor = max(1, -(-values.shape[1] // columns))
        if not self.coarse or factor > 1:
            values = _means(values.astype(float), 2 * factor, factor)
        return _shaded(values, self.least, plain)


def sparkline(values: Sequence[float] | np.ndarray, top: float | None = None, plain: bool = False) -> str:
    """One bar for each number, from 0 to `top` or the greatest: a full bar is at or above it, the lowest 0 or less."""
    bars = ASCII_BARS if plain else BARS
    numbers = np.maximum(np.asarray(values, float), 0)
    top = float(numbers.max(initial=0)) if top is None else top
    if top <= 0:
        return bars[0] * len(numbers)
    share = numbers / top  # only what reaches the top gets a full bar
    return "".join(bars[-1] if s >= 1 else bars[min(int(s * (len(bars) - 1)), len(bars) - 2)] for s in share)


def side_by_side(pictures: Sequence[TextPicture], columns: int, plain: bool = False) -> list[str]:
    """Pictures with their titles, as many in a row as fit into the columns."""
    drawn = []
    for picture in pictures:
        lines = picture.lines(min(columns, 48), plain)
        drawn.append([picture.title, *lines] if picture.title else lines)
    rows: list[list[list[str]]] = []
    room = 0
    for lines in drawn:
        width = max(map(len, lines)) + GAP
        if not rows or width - GAP > room:
            rows.append([])
            room = columns
        rows[-1].append(lines)
        room -= width
    text = []
    for n, row in enumerate(rows):
        height, widths = max(map(len, row)), [max(map(len, lines)) for lines in row]
        text += [""] * (n > 0)
        for k in range(height):
            parts = [(lines[k] if k < len(lines) else "").ljust(w) for lines, w in zip(row, widths, strict=True)]
            text.append((" " * GAP).join(parts).rstrip())
    return text


def _shaded(values: np.ndarray, least: float | None, plain: bool) -> list[str]:
    shades = ASCII_SHADES if plain else SHADES
    if least is None:  # a photo: each shade for as many places; equal numbers have their middle rank
        _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
        twice_ranks = (2 * np.cumsum(counts) - counts - 1)[which].reshape(values.shape)
        level = twice_ranks * len(shades) // (2 * values.size)
    else:
        span = float(values.max()) - least
        share = (values - least) / span if span > 0 else np.zeros_like(values)
        level = np.where(share > 0, np.ceil(share * (len(shades) - 1) - 1e-9), 0).astype(int)
    return ["".join(shades[n] for n in row) for row in level]


def _dotted(dots: np.ndarray, plain: bool) -> list[str]:
    halves = ASCII_HALVES if plain else HALVES
    even = np.concatenate([dots, np.zeros((len(dots) % 2, dots.shape[1]), np.bool_)])
    index = 2 * even[::2].astype(int) + even[1::2]
    return ["".join(halves[n] for n in row) for row in index]


def _means(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Means over blocks; what is left over at the end is its own, smaller block."""
    y, x = np.arange(0, values.shape[0], rows), np.arange(0, values.shape[1], columns)
    sums = np.add.reduceat(np.add.reduceat(values, y, axis=0), x, axis=1)
    sizes = np.add.reduceat(np.add.reduceat(np.ones_like(values), y, axis=0), x, axis=1)
    return sums / sizes
