"""One pass of the oracle, in the arithmetic of the model."""

import math
from typing import Any

from ..errors import InputError, shown
from ..fixed.limits import refuse_overflows, refuse_wide_sums
from ..fixed.quantise import FixedParameters
from ..inputs.arrays import as_frames
from ..result import ByName, Result
from ..weights.names import counted_as
from ..weights.wiring import wiring
from .fixed import FixedOracle
from .layers import sequential_sum
from .network import Oracle


def forward(model: Any, x: Any) -> Result:
    """Run a model's network on dense tensors.

    Parameters
    ----------
    model : SpikeDrivenTransformer; its folded parameters are read back, and its settings; its engine does not run
    x : as the model takes it

    Returns
    -------
    Result
        every hook and current recorded; stage_counts empty
    """
    if not hasattr(model, "read_back"):
        raise InputError(f"model: expected what sdt_ref.load returns, found {shown(model)}")
    image, time_steps = as_frames(x, model.architecture, model.config, model.arithmetic.dtype)
    parameters, formats, oracle_of = model.read_back(), model.formats, Oracle
    if isinstance(parameters, FixedParameters):
        n_tokens = math.prod(image.shape[-2:]) // model.config.size_divisor**2
        refuse_wide_sums(parameters, model.architecture, formats, n_tokens)
        oracle_of = FixedOracle
    oracle = oracle_of(parameters, model.config, time_steps)
    u = oracle.patch_embed(image)
    for j in range(model.architecture.depth):
        u = oracle.mlp(j, oracle.attention(j, u))
    logits = oracle.head(u)
    refuse_overflows(oracle.overflows, formats)
    mean = sequential_sum(logits, axis=0) / logits.dtype.type(time_steps)
    stages = wiring(model.architecture, model.config)
    return Result(
        mean,
        logits,
        ByName("spikes", oracle.spikes, {name: stage.hook for name, stage in stages.items() if stage.hook}),
        ByName("currents", oracle.currents),
        ByName("counts", oracle.counts, {s.layer: counted_as(s.layer) for s in stages.values() if s.layer}),
        {},
        ByName("streams", oracle.streams),
        ByName("sums", oracle.sums),
        ByName("overflows", oracle.overflows),
    )
