"""Spiking patch splitting: pixels to spikes to the membrane stream (official module MS_SPS, 'patch_embed')."""

from collections.abc import Callable

import numpy as np

from .. import kernels
from ..engine.run import Run
from ..engine.set_operations import pool
from ..engine.stored import StoredCurrent
from ..engine.storing import store
from ..weights.config import ModelConfig
from .parts import Parts


class SpikingPatchSplitting:
    """Four convolutions with neurons, and a fifth whose output is added to the stream as relative position (RPE)."""

    def __init__(self, parts: Parts, config: ModelConfig) -> None:
        self.proj_conv = parts.encoder("patch_embed.proj_conv")
        self.proj_lif = parts.neuron("patch_embed.proj_lif")
        self.proj_conv1 = parts.synapse("patch_embed.proj_conv1")
        self.proj_lif1 = parts.neuron("patch_embed.proj_lif1")
        self.proj_conv2 = parts.synapse("patch_embed.proj_conv2")
        self.proj_lif2 = parts.neuron("patch_embed.proj_lif2")
        self.proj_conv3 = parts.synapse("patch_embed.proj_conv3")
        self.proj_lif3 = parts.neuron("patch_embed.proj_lif3")
        self.rpe_conv = parts.synapse("patch_embed.rpe_conv")
        self.pools = config.pools

    def __call__(self, image: np.ndarray, run: Run) -> StoredCurrent:
        """[1 or T, B, C_in, H, W] image -> [T, B, H', W', C] stream; H' = H / 2^pools."""
        s = run.record("MS_SPS_lif", self.proj_lif(self.proj_conv(image, run.time_steps), run))  # C/8 spikes
        if self.pools[0]:
            s = pool(s, 2, run, self.proj_lif.module)
        s = run.record("MS_SPS_lif1", self.proj_lif1(self.proj_conv1(s), run))  # C/4
        if self.pools[1]:
            s = pool(s, 2, run, self.proj_lif1.module)
        s = run.record("MS_SPS_lif2", self.proj_lif2(self.proj_conv2(s), run))  # C/2
        if self.pools[2]:
            s = pool(s, 2, run, self.proj_lif2.module)
        # the last stage pools its current, not its spikes; that current is also the residual of the RPE
        x_feat = store(self.proj_conv3(s), run)  # C, real
        if self.pools[3]:
            x_feat = max_pool(x_feat, run, self.proj_conv3.module)
        s = run.record("MS_SPS_lif3", self.proj_lif3(x_feat, run))
        return store(self.rpe_conv(s), run, residual=x_feat)


def max_pool(current: StoredCurrent, run: Run, stage: str = "") -> StoredCurrent:
    """Maximum of real currents over 3x3 pixels, stride 2: [T, B, H, W, C] -> [T, B, H/2, W/2, C].

    Counted under the name of the stage: comparisons, one less for each window than it has places.
    """
    T, B, H, W = current.grid
    P, _, _, lanes = current.panels.shape
    images = current.panels.reshape(P * T * B, H * W, lanes)
    pooled = kernels.aligned((P * T * B, (H // 2) * (W // 2), lanes), current.dtype)

    def worker() -> Callable[[int, int], None]:
        return lambda first, count: kernels.max_pool3x3(images, H, W, first, count, pooled)

    run.tiles.work(P * T * B, 1, worker)
    places = (3 * (H // 2) - 1) * (3 * (W // 2) - 1)  # of all windows; the first one of a row or column lacks one
    run.count_other("max_pool", stage, comparisons=B * current.n_channels * (places - (H // 2) * (W // 2)))
    return StoredCurrent((T, B, H // 2, W // 2), current.n_channels, pooled.reshape(P, T, -1, lanes), current.units)
