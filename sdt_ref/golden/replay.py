"""The oracle, restarted at every register from what a device held: one early error does not hide the others.

Each register is computed from the device's own inputs, previous membrane included, and held against what the device
had. What its dump lacks is computed.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from ..dense import step
from ..dense.fixed import FixedOracle, Numbers
from ..errors import TraceError
from ..fixed.formats import Format
from ..fixed.quantise import FixedParameters
from ..fixed.registers import WIDE, wider_by
from .differences import Comparison
from .dumps import Dump
from .trace_file import Trace

_IN_HEADS = (".kv", ".talking_heads_lif", ".masked")  # stages whose official tensors split the channels into heads


def isolated(
    golden: Trace,
    parameters: FixedParameters,
    dump: Dump,
    tolerance: float | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Comparison:
    """Compare each register with what it should hold, given the device's own inputs to it.

    Parameters
    ----------
    golden : trace that has the pixels and all time steps
    parameters : that were traced, see `Trace.parameters`
    progress : called with the name of each stage

    Raises TraceError when the trace or the dump does not begin at time step 0.
    """
    T = golden.header.time_steps
    if "input/pixel" not in golden.records:
        raise TraceError("--isolated: expected a golden trace with 'input/pixel'; record it with the stage 'input'")
    if golden.header.steps != list(range(T)) or dump.steps != golden.header.steps:
        raise TraceError(f"--isolated: expected all {T} time steps, as a membrane depends on those before")
    replay = _Replay(golden, parameters, dump, Comparison(golden, tolerance), progress)
    u = replay.patch_embed(replay.pixels())
    for j in range(golden.architecture.depth):
        u = replay.mlp(j, replay.attention(j, u))
    replay.head(u)
    return replay.comparison


class _Replay(FixedOracle):
    """The oracle, but whatever it computes is compared with the dump, and the dump's number goes on."""

    def __init__(
        self,
        golden: Trace,
        parameters: FixedParameters,
        dump: Dump,
        comparison: Comparison,
        progress: Callable[[str], None],
    ) -> None:
        super().__init__(parameters, golden.config, golden.header.time_steps)
        self.comparison = comparison
        self._golden = golden
        self._dump = dump
        self._progress = progress
        self._of_hook = {stage.hook: stage for stage in golden.stages.values() if stage.hook}

    def pixels(self) -> np.ndarray:
        """The input register, [T, 1, C, H, W]."""
        record, values = self._golden.records["input/pixel"], self._golden.values("input/pixel")
        pixels = values.reshape(len(values), 1, record.height, record.width, record.channels)
        return self._seen("input/pixel", np.moveaxis(pixels, -1, 2))

    def _seen(self, name: str, computed: np.ndarray, in_heads: bool = False) -> np.ndarray:
        """Compare what was computed with what the dump has; returns the dump's, if it has it."""
        held = self._held(name, computed, in_heads)
        if held is None:
            return computed
        self._check(name, computed, in_heads)
        return held

    def _check(self, name: str, computed: np.ndarray, in_heads: bool) -> None:
        """Compare [T, 1, C, H, W], [T, 1, C] or, in heads, [T, 1, h, N, d]."""
        if name in self._dump.values:
            T, _, C = computed.shape[:3]
            rows = (
                np.moveaxis(computed[:, 0], 1, 2).reshape(T, -1, C * computed.shape[-1])
                if in_heads
                else np.moveaxis(computed.reshape(T, C, -1), 1, 2)
            )
            record = self._golden.records[name]
            self.comparison.add(record, self._dump.steps, rows.astype(WIDE), self._dump.values[name])

    def _held(self, name: str, computed: np.ndarray, in_heads: bool) -> np.ndarray | None:
        """What the dump has, with the axes and the type of what was computed."""
        held = self._dump.values.get(name)
        if held is None:
            return None
        T, _, C = computed.shape[:3]
        split = np.moveaxis(held.reshape(T, -1, C, computed.shape[-1]) if in_heads else held, 1, 2)
        return np.ascontiguousarray(split).reshape(computed.shape).astype(computed.dtype)

    def record(self, hook: str, spikes: np.ndarray) -> np.ndarray:
        """See Oracle."""
        stage = self._of_hook[hook]
        return self._seen(f"{stage.name}/spikes", spikes, in_heads=stage.name.endswith(_IN_HEADS))

    def encode(self, image: np.ndarray) -> Numbers:
        """See Oracle. The image is the input register."""
        bits = np.concatenate([image >> plane & 1 for plane in range(self.parameters.input.bits)], axis=2)
        return self.conv("patch_embed.proj_conv", bits)

    def stream(self, module: str, sums: Numbers, residual: Numbers | None = None) -> Numbers:
        """See Oracle."""
        self._progress(module)
        sums = Numbers(self._seen(f"{module}/sum", sums.values), sums.fraction)
        total = super().stream(module, sums, residual)
        return Numbers(self._seen(f"{module}/u", total.values), total.fraction)

    def logits(self, sums: Numbers) -> np.ndarray:
        """See Oracle."""
        return super().logits(Numbers(self._seen("head/sum", sums.values), sums.fraction))

    def fit(self, name: str, register: Format, values: np.ndarray) -> np.ndarray:
        """See Oracle; nothing is counted."""
        return register.fit(values)

    def _step(self, module: str, current: Numbers, tokens: int, scale: int) -> np.ndarray:
        self._progress(module)
        neuron = self.parameters.neurons[module]
        in_heads = module.endswith(_IN_HEADS)
        register = neuron.membrane.wider(wider_by(tokens))
        sums = Numbers(self._seen(f"{module}/sum", current.values, in_heads), current.fraction)
        x = self._seen(f"{module}/x", register.fit(sums.aligned(register)), in_heads)
        neuron = dataclasses.replace(neuron, threshold=neuron.threshold * scale)
        held_h, held_v, held_s = (self._held(f"{module}/{quantity}", x, in_heads) for quantity in ("h", "v", "spikes"))
        if self._golden.stages[module].pooled_behind:
            held_s = None  # the dump has those behind the pool
        h, v, before = np.empty_like(x), np.empty_like(x), np.zeros_like(x[0])
        for t in range(len(x)):
            h[t], _, _ = step(neuron, x[t], before)
            reached = h if held_h is None else held_h
            fired = reached[t] >= int(neuron.threshold) if held_s is None else held_s[t]
            v[t] = np.where(fired, 0, reached[t])
            before = v[t] if held_v is None else held_v[t]
        self._check(f"{module}/h", h, in_heads)
        self._check(f"{module}/v", v, in_heads)
        return (reached >= int(neuron.threshold)).astype(np.uint8)
