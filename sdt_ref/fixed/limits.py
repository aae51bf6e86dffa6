"""What fixed point refuses: registers that overflow undeclared, and sums that outgrow 64 bits."""

from collections.abc import Mapping

import numpy as np

from ..errors import FormatError
from ..weights.architecture import Architecture
from ..weights.folding import Parameters
from ..weights.wiring import STREAM, wiring
from .formats import ERROR, Formats
from .quantise import FixedNeuron, bits_for

SUM_BITS = 64  # of sums over tokens


def refuse_overflows(overflows: Mapping[str, np.ndarray], formats: Formats) -> None:
    """Raise FormatError for the first register that declares overflow 'error' and whose numbers did not all fit.

    Parameters
    ----------
    overflows : as in Result, in the order of the data flow
    """
    for register, per_step in overflows.items():
        module, _, name = register.rpartition(".")
        keys = formats.register(module, name)
        if keys["overflow"] == ERROR and per_step.any():
            raise FormatError(
                f"register '{register}' of {keys['bits']} bits: {int(per_step.sum()):,} numbers do not fit, the first "
                f"in time step {int(np.flatnonzero(per_step)[0])}; widen it, or declare overflow = 'saturate' or 'wrap'"
            )


def refuse_wide_sums(parameters: Parameters, architecture: Architecture, formats: Formats, tokens: int) -> None:
    """Raise FormatError where a sum over so many tokens, or what becomes of it in a membrane, outgrows 64 bits."""
    grown, stages = (tokens - 1).bit_length(), wiring(architecture)
    for stage in stages.values():
        if not stage.over_tokens:
            continue
        neuron, module = parameters.neurons[stage.name], stage.name
        assert isinstance(neuron, FixedNeuron)
        source = stages[stage.reads[0]]
        if source.kind == STREAM:
            stream = formats.format(source.name, "stream")
            bits, fraction = stream.bits + grown, stream.fraction
        else:  # a count of spikes
            bits, fraction = bits_for(0, tokens), 0
        membrane, finest = neuron.membrane, max((shift for _, shift in neuron.leak_terms), default=0)
        left = membrane.fraction - fraction
        widest = bits + left if left >= 0 else max(bits, 1 - left) + 1  # with the rounding's constant
        held = min(membrane.bits + grown, max(bits + left, 1) + (left < 0))
        needed = max(widest, held + 1 + finest)  # x - v has one bit more, its terms are shifted
        if needed > SUM_BITS:
            raise FormatError(
                f"stage '{module}': expected sums over {tokens:,} tokens that need {SUM_BITS} bits on their way "
                f"through a membrane of {membrane.bits} bits with {membrane.fraction} fraction bits, found {needed}; "
                "declare fewer bits or fraction bits there, or a narrower stream"
            )
