"""Pictures of every format that this Pillow writes, damaged; and pictures that claim to be large.

There is no oracle: what the bytes of a picture mean is what Pillow says.
"""

import random
from functools import cache
from pathlib import Path

from PIL import Image

from .. import commands, damage, seeds
from ..case import Case

NAME = "i.png"
UNSAFE = "PDF", "MPO"  # no pictures that Pillow reads, or the same as another
MODES = "RGB", "L", "RGBA", "P", "1", "CMYK", "I;16", "LA", "F"


@cache
def kinds() -> list[tuple[str, str]]:
    """Formats and modes that can be written and read."""
    Image.init()
    found = []
    for kind in sorted(set(Image.SAVE) & set(Image.OPEN) - set(UNSAFE)):
        for mode in MODES:
            try:
                seeds.picture(kind, mode)
            except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError):
                continue
            found.append((kind, mode))
    return found


def make(rng: random.Random, folder: Path) -> Case:
    """One picture, and a command that reads it."""
    kind, mode = rng.choice(kinds())
    content = damage.damaged(seeds.picture(kind, mode), rng, [(0, 100)] if rng.randrange(2) else ())
    if not rng.randrange(12):
        kind = "claims"
        side = rng.choice((1, 100, 10_000, 13_000, 30_000, 2**31 - 1, 2**32 - 1))
        content = seeds.png_claiming(side, rng.choice((1, 8, side)))
    commands.put(folder, NAME, content)
    argv, outputs = commands.of_picture(NAME, rng, folder)
    stdin = ""
    if not rng.randrange(12):
        argv, stdin = ["-" if part == NAME else part for part in argv], NAME
    return Case(kind, argv, None, outputs, memory=2048, stdin=stdin)
