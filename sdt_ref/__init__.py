"""The reference simulator of the Spike-driven Transformer: sparse spike events, additions only, exact."""

from . import dense
from .errors import ConfigError, EventsError, ImageError, InputError, SdtError, WeightsError
from .events import SpikeEvents
from .model import SpikeDrivenTransformer, load
from .result import OperationCount, Result

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "EventsError",
    "ImageError",
    "InputError",
    "OperationCount",
    "Result",
    "SdtError",
    "SpikeDrivenTransformer",
    "SpikeEvents",
    "WeightsError",
    "dense",
    "load",
]
