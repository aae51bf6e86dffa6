"""Arrays as a PyTorch network has them: named by official hooks and modules, with its axes.

A hook ('MS_SSA_Conv0_q_lif') stands for the spikes that it holds; a module of neurons ('block.0.attn.q_lif') for what
it puts out, which a pool may follow; a BatchNorm for the current or the stream that it puts out; 'head' for the logits;
'input' for what the network ran on.
"""

import math

import numpy as np

from ...dense.layers import max_pool
from ...errors import TraceError, shown
from ...weights.state import official_name
from ...weights.tensors import batch_norm_of
from ...weights.wiring import HEAD, INPUT, NEURON, STREAM
from ..records import Record
from ..trace_file import Trace
from .dump import find_record

STEPS = "S"  # of the trace, where not all are recorded; T are those of the run
OWN = "SNC"
TOKENS, CHANNELS = "HWN", "hdC"


def find(golden: Trace, name: str) -> tuple[Record, bool]:
    """The record that a name stands for, and whether its spikes are still to be pooled.

    Names of wrappers ('module.', '_orig_mod.') are left out. Raises TraceError where there is no record, or none that
    this array can be compared with.
    """
    name = official_name(name)
    for stage in golden.stages.values():
        norm = batch_norm_of(stage.layer) if stage.layer and stage.kind != HEAD else None
        if name in (stage.layer, norm) and stage.kind == STREAM and stage.residual is not None:
            raise TraceError(
                f"'{name}' is what a layer adds to the residual stream, which no record holds; keep the input of the "
                "neurons behind it, as 'MODULE/x'"
            )
        if name == stage.layer and norm is not None:
            raise TraceError(
                f"'{name}' is what a layer puts out before BatchNorm; keep '{norm}', which comes behind it"
            )
        if name == norm:
            return find_record(golden, f"{stage.name}/{'x' if stage.kind == NEURON else 'u'}"), False
        if name and name in (stage.name, stage.hook):
            quantity = {INPUT: "pixel", HEAD: "sum"}.get(stage.kind, "spikes")
            return find_record(golden, f"{stage.name}/{quantity}"), stage.pooled_behind and name != stage.hook
    return find_record(golden, name), False


def axes_of(golden: Trace, record: Record, shape: tuple[int, ...]) -> str:
    """The axes of an array of this shape; raises TraceError where none fit, or more than one reading does."""
    T, heads = golden.header.time_steps, golden.config.num_heads
    sizes = {
        STEPS: len(golden.header.steps), "T": T, "B": 1, "N": record.tokens, "C": record.channels,
        "H": record.height, "W": record.width, "h": heads, "d": record.channels // heads,
    }  # fmt: skip

    def fits(axes: str, batch: int = 1) -> bool:
        return shape == tuple((sizes | {"B": batch})[axis] for axis in axes)

    if fits(OWN):
        return OWN
    known = _known(golden, record)
    fitting = [axes for axes in known if fits(axes)]
    if len(fitting) > 1 and len({_places(axes, shape) for axes in fitting}) > 1:
        readings = " and as ".join(map(_in_words, fitting))
        raise TraceError(
            f"record '{record.name}': {shape} can be read as {readings}; write it as {_in_words(OWN)} or as "
            f"{_in_words(known[0])}"
        )
    if fitting:
        return fitting[0]
    batch = next((n for axes in known if "B" in axes for n in shape[:2] if n != 1 and fits(axes, n)), None)
    if batch is not None:
        raise TraceError(
            f"record '{record.name}': expected one sample, that of the trace, found {batch} in {shown(shape)}; run "
            "your network on the trace's dataset 'input', or keep the one that was traced"
        )
    own, official = (tuple(sizes[axis] for axis in axes) for axes in (OWN, known[0]))
    raise TraceError(
        f"record '{record.name}': expected {_in_words(OWN)} = {own}, found {shown(shape)}; with PyTorch's axes, "
        f"{_in_words(known[0])} = {official}"
    )


def rows(golden: Trace, array: np.ndarray, axes: str) -> np.ndarray:
    """[steps, tokens, channels] from an array of these axes, at the time steps of the trace."""
    ordered, steps = _ordered(array, axes), golden.header.steps
    if STEPS in axes:
        return ordered
    return ordered[steps] if "T" in axes else np.repeat(ordered, len(steps), axis=0)  # a static input


def pooled(record: Record, spikes: np.ndarray) -> np.ndarray:
    """Spikes [steps, tokens, channels] behind the pool of dvs mode, 3x3 pixels."""
    pictures = np.moveaxis(spikes, 2, 1).reshape(len(spikes), -1, record.height, record.width)
    return np.moveaxis(max_pool(pictures, 1).reshape(len(spikes), record.channels, -1), 1, 2)


def _known(golden: Trace, record: Record) -> list[str]:
    """The axes that PyTorch networks use; [T * B, ...] has T with one sample."""
    if golden.stages[record.stage].kind == INPUT:
        return ["BCHW", "BTCHW", "TBCHW"]
    in_heads = ["hNd"] if ".attn." in record.stage else []
    of_one = ["C"] if record.tokens == 1 else []
    both = [lead + axes for axes in ("CHW", *in_heads, *of_one) for lead in ("TB", "T")]
    return [*both, "TBNC", "TBCN"]


def _ordered(array: np.ndarray, axes: str) -> np.ndarray:
    """[steps, tokens, channels]; one step where the axes have none."""
    first = [axes.index(axis) for axis in axes if axis in ("T", STEPS)]
    tokens, channels = ([axes.index(axis) for axis in axes if axis in kind] for kind in (TOKENS, CHANNELS))
    single = [axes.index("B")] if "B" in axes else []
    n_steps, n_tokens, n_channels = (math.prod(array.shape[n] for n in part) for part in (first, tokens, channels))
    return array.transpose(first + tokens + channels + single).reshape(n_steps, n_tokens, n_channels)


def _places(axes: str, shape: tuple[int, ...]) -> bytes:
    """Where each number of a time step goes, to tell readings apart."""
    one = tuple(1 if axis == "T" else size for axis, size in zip(axes, shape, strict=True))
    return _ordered(np.arange(np.prod(one)).reshape(one), axes).tobytes()


def _in_words(axes: str) -> str:
    names = {STEPS: "steps", "N": "tokens", "h": "heads", "d": "channels of a head"}
    if axes == OWN:
        return "[steps, tokens, channels]"
    return f"[{', '.join(names.get(axis, axis) for axis in axes)}]"
