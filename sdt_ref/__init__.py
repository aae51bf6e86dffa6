"""The reference simulator of the Spike-driven Transformer: sparse spike events, additions only, exact.

"Official" means, throughout, the authors' code: BICLab/Spike-Driven-Transformer @ 3faa822 (Yao et al., NeurIPS 2023) on
spikingjelly 0.0.0.0.12 (torch backend) and timm 0.6.12.
"""

from . import interrupt as interrupt  # isort: skip  # Ctrl-C during the imports below is one line
from . import dense
from .engine.events import SpikeEvents
from .errors import (
    ConfigError,
    EventsError,
    FormatError,
    ImageError,
    InputError,
    RecordingError,
    SdtError,
    TraceError,
    WeightsError,
)
from .network.model import SpikeDrivenTransformer, load
from .result import OperationCount, Result

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "EventsError",
    "FormatError",
    "ImageError",
    "InputError",
    "OperationCount",
    "RecordingError",
    "Result",
    "SdtError",
    "SpikeDrivenTransformer",
    "SpikeEvents",
    "TraceError",
    "WeightsError",
    "dense",
    "load",
]
