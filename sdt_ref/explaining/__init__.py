"""The narrated walk: one run of the engine, stage by stage, down to the additions behind a single membrane.

`observe` runs a network on one input, picture or frames; `walk` describes the whole run; `look_into` takes one element
of one stage apart. Every number is read from the engine's own result, or computed by its kernels.
"""

from .lens import Lens, look_into
from .observation import Observation, observe
from .walk import Chapter, walk

__all__ = ["Chapter", "Lens", "Observation", "look_into", "observe", "walk"]
