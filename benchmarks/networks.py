"""Synthetic weights that fire as a trained network does: each layer is calibrated to a firing rate on a real photo.

Weights are normal random numbers. In the order of the data flow, each layer is scaled to currents of variance 1 on the
photo, and its BatchNorm gets the bias that makes the neurons behind it fire at the wanted rate. So spikes cluster as
they do in pictures, and the rates hold for this photo; what the layers really read (after pooling) is printed.

Every engine must find the same spikes, in whatever order it adds. So weights are whole multiples of a step, and float32
sums of them are exact. Biases are odd multiples of half a step: then so is the current of every neuron, its membrane m
time steps after rest or a spike is an odd multiple of step / 2^(m + 1), and that is never the threshold, which is an
even one. The layers that add to the residual stream have whole multiples as biases; the stream has its half step from
the patch embedding. Only the head's neurons, which read a mean over tokens, lie off this lattice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from PIL import Image

import sdt_ref
from sdt_ref.engine.events import SpikeEvents
from sdt_ref.engine.neuron import Neuron
from sdt_ref.engine.run import Run
from sdt_ref.engine.set_operations import intersect, pool, sum_tokens
from sdt_ref.engine.stored import StoredCurrent
from sdt_ref.engine.storing import store
from sdt_ref.engine.synapse import Synapse
from sdt_ref.engine.tiles import available_cores
from sdt_ref.inputs.image import preprocess
from sdt_ref.network.encoder import Encoder
from sdt_ref.network.head import mean_tokens
from sdt_ref.network.sps import max_pool
from sdt_ref.weights.architecture import Architecture
from sdt_ref.weights.config import ModelConfig, Preprocessing
from sdt_ref.weights.file import Weights
from sdt_ref.weights.folding import BATCH_NORM_EPSILON, Layer, NeuronParameters
from sdt_ref.weights.tensors import tensor_shapes

PIXEL_STEP = 2.0**-6
FIRST_WEIGHT_STEP = 2.0**-6  # of the layer that reads pixels
WEIGHT_STEP = 2.0**-10  # of the layers that read spikes
BISECTIONS = 14
LIKENESSES = 5  # steps to the wanted rate behind the attention
SAMPLED = 4096  # positions that the bisection looks at
SMALLEST_VARIANCE = 1e-3  # of a channel that hardly moves
UNIT_VARIANCE = 1 - BATCH_NORM_EPSILON  # with it a BatchNorm multiplies by 1


@dataclass(frozen=True)
class Rates:
    """Firing rates: by default those of SDT-8-768 on its first image as far as they are published, and else .15.

    Attributes
    ----------
    stem : of the four neuron layers of the patch embedding, before pooling
    block : of the neurons that read the residual stream
    attention : behind the attention, Q AND mask
    mlp : of the neurons between the two layers of an MLP
    """

    stem: tuple[float, float, float, float] = (0.13, 0.06, 0.04, 0.14)
    block: float = 0.33
    q: float = 0.22
    k: float = 0.02
    v: float = 0.03
    attention: float = 0.10
    mlp: float = 0.15
    head: float = 0.15


PUBLISHED = Rates()


def uniform(rate: float) -> Rates:
    """One rate for all layers."""
    return Rates((rate, rate, rate, rate), *[rate] * 7)


def photo(size: int, batch: int = 1) -> np.ndarray:
    """The sample photo, and crops of it, normalised and rounded to PIXEL_STEP: float32 [batch, 3, size, size]."""
    how = Preprocessing(size)
    with Image.open(str(files(sdt_ref) / "data" / "cat.jpg")) as opened:
        picture = opened.convert("RGB")
    width, height = picture.size
    crops = [picture.crop((7 * b, 5 * b, width - 3 * b, height - 5 * b)) for b in range(batch)]
    return on_lattice(np.stack([preprocess(crop, how) for crop in crops]), PIXEL_STEP)


def on_lattice(values: np.ndarray, step: float) -> np.ndarray:
    """The nearest whole multiples of a step, float32."""
    return (np.round(values / step) * step).astype(np.float32)


class Calibration:
    """Draws tensors and fits them, layer by layer."""

    def __init__(self, architecture: Architecture, config: ModelConfig, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.config = config
        self.tensors = {
            name: rng.standard_normal(shape, np.float32) / np.float32(np.sqrt(max(1, np.prod(shape[1:]))))
            for name, shape in tensor_shapes(architecture).items()
        }
        for name in self.tensors:
            if "_bn" in name or name.endswith("conv.bias"):
                self.tensors[name] = np.zeros_like(self.tensors[name])
        self.run = Run(config.time_steps, available_cores())

    def fit(self, conv: str, source: SpikeEvents | np.ndarray, rate: float, residual: StoredCurrent | None = None,
            pooled: bool = False, last: bool = False) -> tuple[StoredCurrent, SpikeEvents]:  # fmt: skip
        """Fit one layer and its BatchNorm; returns its current (plus the residual) and the spikes that it causes.

        pooled : neurons read the pooled current; last : they are the head's, and read the mean over the tokens
        """
        analog = isinstance(source, np.ndarray)
        step = FIRST_WEIGHT_STEP if analog else WEIGHT_STEP
        self.scale(conv, source, step)
        current = self.current(conv, source)
        mean = current.array.mean(axis=(0, 1), dtype=np.float64)
        if pooled:
            current = max_pool(current, self.run)
        if residual is not None:
            current = StoredCurrent.from_array(current.grid, current.array + residual.array)
        step *= PIXEL_STEP if analog else 1
        half = np.float32(step / 2 if residual is None else 0)

        def bias(shift: float) -> np.ndarray:
            return on_lattice(shift - mean, step) + half

        if last:
            current = mean_tokens(current, self.run)
        sample = current.array[:, :: max(1, current.array.shape[1] // SAMPLED)]

        def fired(shift: float) -> float:
            return self.fire(StoredCurrent.from_array(sample.shape[:2], sample + bias(shift))).firing_rate

        best = bias(bisect(fired, rate))
        norm = conv.replace("_conv", "_bn")
        for part, value in (("weight", 1.0), ("bias", best), ("running_mean", 0.0), ("running_var", UNIT_VARIANCE)):
            self.tensors[f"{norm}.{part}"] = np.broadcast_to(np.asarray(value, np.float32), best.shape).copy()
        current = StoredCurrent.from_array(current.grid, current.array + best)
        return current, self.fire(current)

    def scale(self, conv: str, source: SpikeEvents | np.ndarray, step: float) -> None:
        """Scale the weights so that each channel's current has variance 1, and round them."""
        variance = self.current(conv, source).array.var(axis=(0, 1), dtype=np.float64)
        scale = 1 / np.sqrt(np.maximum(variance, SMALLEST_VARIANCE))
        self.tensors[f"{conv}.weight"] = on_lattice(self.tensors[f"{conv}.weight"] * scale[:, None, None, None], step)

    def current(self, conv: str, source: SpikeEvents | np.ndarray) -> StoredCurrent:
        """What a layer delivers, without its BatchNorm."""
        weight = self.tensors[f"{conv}.weight"]
        layer = Layer(weight, np.zeros(len(weight), np.float32))
        if isinstance(source, SpikeEvents):
            return store(Synapse(conv, layer)(source), self.run)
        return store(Encoder(conv, layer)(source, self.config.time_steps), self.run)

    def fire(self, current: StoredCurrent) -> SpikeEvents:
        """Spikes of LIF neurons."""
        return Neuron("neuron", NeuronParameters(np.float32(0.5), np.float32(1)))(current, self.run)


def bisect(rate_at: Callable[[float], float], rate: float) -> float:
    """The shift at which a rising rate comes closest to the wanted one."""
    low, high = -8.0, 8.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if rate_at(middle) < rate else (low, middle)
    return (low + high) / 2


def attend(c: Calibration, module: str, s: SpikeEvents, rates: Rates) -> SpikeEvents:
    """Fit q, k and v, and give v as much of k's weights as it takes to let spikes pass at the wanted rate.

    Independent k and v would hardly ever spike at the same token and channel; those of trained networks do.
    """
    alike, own = c.tensors[f"{module}.k_conv.weight"], c.tensors[f"{module}.v_conv.weight"]
    _, q = c.fit(f"{module}.q_conv", s, rates.q)
    _, k = c.fit(f"{module}.k_conv", s, rates.k)
    low, high = 0.0, 1.0
    for _ in range(LIKENESSES):
        likeness = (low + high) / 2
        c.tensors[f"{module}.v_conv.weight"] = np.float32(likeness) * alike + np.float32(1 - likeness) * own
        _, v = c.fit(f"{module}.v_conv", s, rates.v)
        count = sum_tokens(intersect(k, v, c.run)).astype(np.float32)
        current = StoredCurrent.from_array(count.shape[:2], count)
        z = intersect(q, Neuron("mask", NeuronParameters(np.float32(0.5), np.float32(0.5)))(current, c.run), c.run)
        low, high = (likeness, high) if z.firing_rate < rates.attention else (low, likeness)
    return z


def calibrated(dim: int, depth: int, size: int, pooling_stat: str = "1111", num_classes: int = 1000,
               rates: Rates = PUBLISHED, seed: int = 0) -> Weights:  # fmt: skip
    """Draw and calibrate the weights of one network; the same seed gives the same weights."""
    architecture = Architecture(dim, depth, 3, num_classes, 4 * dim, "lif")
    config = ModelConfig(4, pooling_stat, 8, dvs_mode=False, TET=False)
    c, run_pools = Calibration(architecture, config, seed), config.pools
    source: SpikeEvents | np.ndarray = photo(size)[None]
    for stage, number in enumerate(("", "1", "2")):
        _, spikes = c.fit(f"patch_embed.proj_conv{number}", source, rates.stem[stage])
        source = pool(spikes, 2, c.run) if run_pools[stage] else spikes
    u, s = c.fit("patch_embed.proj_conv3", source, rates.stem[3], pooled=run_pools[3])
    u, s = c.fit("patch_embed.rpe_conv", s, rates.block, residual=u)
    for j in range(depth):
        attention, layers = f"block.{j}.attn", f"block.{j}.mlp"
        z = attend(c, attention, s, rates)
        u, s = c.fit(f"{attention}.proj_conv", z, rates.block, residual=u)
        _, hidden = c.fit(f"{layers}.fc1_conv", s, rates.mlp)
        last = j + 1 == depth
        u, s = c.fit(f"{layers}.fc2_conv", hidden, rates.head if last else rates.block, residual=u, last=last)
    names = tuple(f"class {k}" for k in range(num_classes))
    return Weights(c.tensors, config, Preprocessing(size), names, {"source": "benchmarks.networks", "seed": seed})
