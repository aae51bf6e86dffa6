"""What all pictures share: colours, and a file that appears whole or not at all."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, SdtError
from ..files import require_writable, write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# told apart by colour-blind eyes: Okabe and Ito, Color Universal Design, 2008
BLUE, ORANGE, GREEN, PURPLE, SKY, RED, YELLOW, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000",
)  # fmt: skip
ENDINGS = (".png", ".svg", ".pdf")
DPI = 150


def require(path: str | os.PathLike[str], *inputs: str | os.PathLike[str] | None) -> None:
    """Raise ConfigError, before anything is computed, when no picture could be written to this path.

    Parameters
    ----------
    inputs : files that are read, and must not be lost
    """
    if Path(path).suffix.lower() not in ENDINGS:
        raise ConfigError(f"picture '{path}': expected a name that ends in {', '.join(ENDINGS)}")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise ConfigError(
            "pictures need matplotlib, which is not installed; in the folder of sdt_ref: pip install '.[report]'"
        ) from None
    except ValueError as error:  # of an environment variable, or a settings file that is not text
        reason = str(error).partition(";")[0]
        raise ConfigError(
            f"pictures need matplotlib, which refuses its settings: {reason}; mend MPLBACKEND or its matplotlibrc"
        ) from None
    require_writable(path, ConfigError, *inputs)


@contextmanager
def own_style() -> Iterator[None]:
    """Draw and save with matplotlib's defaults: a user's settings may ask for LaTeX, or for fonts, that are missing."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def save(figure: "Figure", path: str | os.PathLike[str], error: type[SdtError] = ConfigError) -> None:
    """Write a figure in the form that the path's ending names; it appears when it is complete."""
    drawn = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # of a name; a box stands for such a letter
        figure.savefig(drawn, format=Path(path).suffix.lower().removeprefix("."), dpi=DPI)
    write(path, drawn.getvalue(), error)
