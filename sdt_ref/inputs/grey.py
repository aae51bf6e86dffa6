"""Grey of more than 8 bits becomes 8: by the depth that its file declares, or, of 32 bits, by its range."""

from collections import Counter

import numpy as np
from PIL import Image

from ..camera.recording import TAKEN
from ..errors import ImageError

ROWS = 256  # rows converted at a time
BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF 6.0
WHITE_IS_ZERO, UNSIGNED = 0, 1  # values of the last two
WHITES = 255, 65535  # what white can be in whole numbers of 32 bits
LEAST_SHARE = 16  # the brightest pixel of a picture is above white / 16, or the picture would be black


def is_deep(picture: Image.Image) -> bool:
    """Whether a picture is grey of more than 8 bits."""
    return picture.mode.startswith("I;16") or picture.mode in ("I", "F")


def eight_bits(picture: Image.Image, opened: Image.Image, name: str, told: Counter[str]) -> Image.Image:
    """Scale deep grey to 8 bits.

    A declared depth of 12 or 16 bits says what white is: 4095 or 65535. Grey of 32 bits does not, so its range does:
    fractions from 0 to 1, numbers from 0 to 255, whole numbers from 0 to 65535.

    Parameters
    ----------
    opened : the same as it was opened: its format and its tags say what is declared
    name : for messages
    told : takes how 32-bit grey was read

    Raises ImageError when no white fits the range, or more than one, or a value is not finite.
    """
    values = np.asarray(picture)
    tags = getattr(opened, "tag_v2", {})
    if values.dtype == np.int32 and tags.get(SAMPLE_FORMAT, (UNSIGNED,))[0] == UNSIGNED and tags:
        values = values.view(np.uint32)
    lowest, highest, whole = _range(values, name)
    declared = _declared_white(opened)
    white = declared or _white(lowest, highest, whole, picture.mode)
    if white is None or lowest < 0:
        expected = f"grey within 0 to {declared}" if declared else "32-bit grey within 0 to 1, 255 or 65535"
        unclear = ", which leaves open what white is" * (lowest >= 0 and highest <= WHITES[-1])
        raise ImageError(
            f"picture '{name}': expected {expected}, found {'whole numbers from ' * whole}{lowest:.9g} to "
            f"{highest:.9g}{unclear}; scale it, or save it with 8 or 16 bits"
        )
    if not declared:
        told[f"32-bit grey within 0 to {white}{TAKEN}black to white"] += 1
    eight = np.empty(values.shape, np.uint8)
    for first in range(0, len(values), ROWS):
        eight[first : first + ROWS] = np.rint(values[first : first + ROWS].astype(np.float64) * 255 / white)
    return Image.fromarray(255 - eight if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO else eight)


def _declared_white(picture: Image.Image) -> int | None:
    """The greatest value of the depth that a file or a mode declares; None of 32 bits."""
    if picture.format == "TIFF":
        bits = int(picture.tag_v2[BITS_PER_SAMPLE][0])  # type: ignore[attr-defined]  # of a TIFF
        return (1 << bits) - 1 if bits <= 16 else None
    # some versions of Pillow open PNG of 16 bits as 32; PGM of any depth is scaled to 16
    declares = picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM"))
    return 65535 if declares else None


def _range(values: np.ndarray, name: str) -> tuple[float, float, bool]:
    """The least and the greatest value, and whether all are whole numbers."""
    lowest, highest, whole = np.inf, -np.inf, True
    for first in range(0, len(values), ROWS):
        rows = values[first : first + ROWS].astype(np.float64)
        if not np.isfinite(rows).all():
            raise ImageError(f"picture '{name}': expected finite pixel values, found NaN or infinite")
        lowest, highest = min(lowest, float(rows.min())), max(highest, float(rows.max()))
        whole = whole and bool((rows == np.rint(rows)).all())
    return lowest, highest, whole


def _white(lowest: float, highest: float, whole: bool, mode: str) -> int | None:
    """The one value that can be white; None where none or several can."""
    if highest == 0 or (mode == "F" and highest <= 1):
        return 1
    for white in WHITES:
        if white // LEAST_SHARE < highest <= white and (whole or white == WHITES[0]):
            return white
    return None
