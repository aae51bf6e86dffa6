"""The network in whole numbers, as docs/fixed-point.md specifies it: plain NumPy, 64 bits, every register checked."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..fixed.formats import Format
from .layers import fan_out, max_pool, sequential_sum
from .network import Oracle
from .neuron import steps


@dataclass(frozen=True)
class Numbers:
    """Whole numbers [T, B, C, H, W] with their fraction bits, one for all or one for each channel."""

    values: np.ndarray
    fraction: np.ndarray | int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values."""
        return self.values.shape

    def aligned(self, register: Format) -> np.ndarray:
        """The values in units of a register, rounded but not yet fitted."""
        fraction = np.asarray(self.fraction)
        return register.align(self.values, fraction[:, None, None] if fraction.ndim else fraction)


class FixedOracle(Oracle):
    """One forward pass in fixed point; also counts, register by register, the numbers that did not fit."""

    def fit(self, name: str, register: Format, values: np.ndarray) -> np.ndarray:
        """Write [T, ...] values to a register."""
        overflows = np.count_nonzero(~register.holds(values), axis=tuple(range(1, values.ndim)))
        self._count(name, overflows)
        return register.fit(values)

    def conv(self, module: str, spikes: np.ndarray) -> Numbers:
        """See Oracle. Each addition is fitted into the accumulator: bias, planes, kernel positions, channels."""
        layer = self.parameters.layers[module]
        outputs, inputs, window, _ = layer.weight.shape
        T, B, _, H, W = spikes.shape
        pad, of_plane = window // 2, inputs // layer.planes
        padded = np.pad(spikes.astype(np.int64), ((0, 0), (0, 0), (0, 0), (pad, pad), (pad, pad)))
        out = np.empty((T, B, outputs, H, W), np.int64)
        out[:] = layer.bias[:, None, None]
        overflows = np.zeros(T, np.int64)
        for plane in range(layer.planes):
            for ky in range(window):
                for kx in range(window):
                    for c in range(plane * of_plane, (plane + 1) * of_plane):
                        tap = padded[:, :, c, None, ky : ky + H, kx : kx + W]  # [T, B, 1, H, W]
                        total = out + tap * layer.weight[:, c, ky, kx, None, None]
                        overflows += np.count_nonzero(~layer.accumulator.holds(total), axis=(1, 2, 3, 4))
                        out = layer.accumulator.fit(total)
        if layer.checked:
            self._count(f"{module}.accumulator", overflows)
        return Numbers(out, layer.fraction)

    def encode(self, image: np.ndarray) -> Numbers:
        """See Oracle. The bits of each pixel's register are spikes."""
        module, pixels = "patch_embed.proj_conv", self.parameters.input
        whole = self.fit("input", pixels, pixels.quantise(image))
        bits = np.concatenate([whole >> plane & 1 for plane in range(pixels.bits)], axis=2)
        layer = self.parameters.layers[module]
        ac, events, neurons = np.zeros((3, self.time_steps), np.int64)
        ac[: len(bits)] = fan_out(bits, layer)
        events[: len(bits)] = bits.sum(axis=(1, 2, 3, 4))
        neurons[: len(bits)] = bits[0].size
        self.counts["MS_SPS_proj_conv"] = dataclasses.replace(self.nothing, ac=ac, events=events, neurons=neurons)
        sums = self.conv(module, bits)
        return Numbers(np.repeat(sums.values, self.time_steps // len(bits), axis=0), sums.fraction)

    def stream(self, module: str, sums: Numbers, residual: Numbers | None = None) -> Numbers:
        """See Oracle. Either is brought into the stream's register, and then their sum."""
        self.sums[module] = sums.values
        register, name = self.parameters.layers[module].stream, f"{module}.stream"
        total = self.fit(name, register, sums.aligned(register))
        if residual is not None:
            total = self.fit(name, register, total + self.fit(name, register, residual.aligned(register)))
        self.streams[module] = total
        return Numbers(total, register.fraction)

    def pool(self, u: Numbers) -> Numbers:
        """See Oracle."""
        return Numbers(max_pool(u.values, 2), u.fraction)

    def fire(self, module: str, current: Numbers) -> np.ndarray:
        """See Oracle."""
        return self._step(module, current, tokens=1, scale=1)

    def attend(self, module: str, count: np.ndarray, u: Numbers) -> np.ndarray:
        """See Oracle. The membrane grows with the number of tokens that are counted."""
        return self._step(module, Numbers(count, 0), tokens=u.shape[3] * u.shape[4], scale=1)

    def fire_mean(self, module: str, u: Numbers) -> np.ndarray:
        """See Oracle. The sum is not divided: threshold and membrane grow with the number of tokens instead."""
        T, B, C, H, W = u.shape
        total = sequential_sum(u.values.reshape(T, B, C, H * W), axis=3)
        return self._step(module, Numbers(total, u.fraction), tokens=H * W, scale=H * W)

    def logits(self, sums: Numbers) -> np.ndarray:
        """See Oracle. The head has one scale for all classes."""
        fraction: Any = sums.fraction
        return np.ldexp(sums.values[..., 0, 0].astype(np.float64), -fraction[0])

    def _step(self, module: str, current: Numbers, tokens: int, scale: int) -> np.ndarray:
        neuron = self.parameters.neurons[module]
        register = neuron.membrane.wider((tokens - 1).bit_length())
        x = self.fit(f"{module}.membrane", register, current.aligned(register))
        self.sums[module], self.currents[module] = current.values, x
        return steps(neuron, x, scale)[1]

    def _count(self, name: str, overflows: np.ndarray) -> None:
        per_step = np.zeros(self.time_steps, np.int64)
        per_step[: len(overflows)] = overflows
        self.overflows[name] = self.overflows.get(name, 0) + per_step
