"""The registers that a formats file leaves out: they follow what the weights read. docs/fixed-point.md, section 2."""

from typing import Any

from ..weights.config import Preprocessing
from .formats import REGISTERS, Formats, RegisterFormat
from .quantise import INPUT_LAYER

# the first layer's weights meet numbers, not spikes, and all that follows is made of their sums; they are few
FIRST_LAYER: dict[str, RegisterFormat] = {"weight": {"bits": 12}, "bias": {"bits": 24}}
WIDTHS = {*FIRST_LAYER, "accumulator"}  # of which a file that declares one means all
FRAMES = {"bits": 12, "fraction": 2}  # counts up to 511, and means of 2x2 of them
ANTIALIASED = {"bits": 16, "fraction": 6}  # means by weights in 64ths


def complete(formats: Formats | None, preprocessing: Preprocessing) -> Formats:
    """Declare every register: as a formats file does, and by default what it leaves out; None stands for no file."""
    declared = Formats({}, {}) if formats is None else formats
    default: dict[str, dict[str, Any]] = {name: _known(keys) for name, keys in REGISTERS.items()}
    default["input"].update(_input(preprocessing))
    for name, keys in declared.default.items():
        default[name].update(keys)
    stages = dict(declared.stages)
    if not WIDTHS & {*declared.default, *stages.get(INPUT_LAYER, {})}:
        stages[INPUT_LAYER] = {**FIRST_LAYER, **stages.get(INPUT_LAYER, {})}
    return Formats(default, stages)


def _known(keys: RegisterFormat) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if value is not None}


def _input(preprocessing: Preprocessing) -> dict[str, int]:
    """Bits and fraction bits that hold what the weights read: counts of events, or a picture's normalised values."""
    if preprocessing.frames:
        return ANTIALIASED if preprocessing.antialias else FRAMES
    greatest = max(max(m, 1 - m) / s for m, s in zip(preprocessing.mean, preprocessing.std, strict=True))
    bits, most = REGISTERS["input"]["bits"], REGISTERS["input"]["fraction"]
    held = (1 << (bits - 1)) - 1
    fitting = (fraction for fraction in range(most, 0, -1) if greatest * 2**fraction <= held)
    return {"bits": bits, "fraction": next(fitting, 0)}
