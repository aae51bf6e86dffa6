"""What every engine offers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


class MissingLibraryError(Exception):
    """What an engine needs is not installed; the message says what to install."""


@dataclass(frozen=True)
class Engine:
    """A network made ready to run on one library. It holds all its memory, and frees it when it is dropped.

    Attributes
    ----------
    name : of the library and how it is used
    kind : 'float32', or 'int8' for weights and currents rounded to 8 bits, which is another network
    logits : images float32 [B, 3, H, W] -> [B, K]
    spikes : images -> uint8 arrays of all hooks, in the order and shapes of Result.spikes; None if not to be had
    """

    name: str
    kind: str
    logits: Callable[[np.ndarray], np.ndarray]
    spikes: Callable[[np.ndarray], list[np.ndarray]] | None
