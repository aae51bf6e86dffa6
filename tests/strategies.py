"""Hypothesis strategies; all shrink towards the smallest network, one time step, one image, generic numbers."""

import numpy as np
from hypothesis import strategies as st

from .networks import Network


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Any network that the official code accepts, at a size that the oracle computes in a blink."""
    heads = draw(st.sampled_from([1, 2, 4]))
    dim = 8 * draw(st.sampled_from([1, 2, 3, 4, 9, 18])) if heads < 4 else 16 * draw(st.sampled_from([1, 2, 5, 9]))
    pooling = "".join(draw(st.sampled_from("01")) for _ in range(4))
    divisor = 2 ** pooling.count("1")
    mlp_ratio = draw(st.sampled_from([1, 0.5, 1.5, 4]))
    return Network(
        dim=dim,
        depth=draw(st.integers(1, 2)),
        in_channels=draw(st.integers(1, 4)),
        num_classes=draw(st.integers(1, 7)),
        hidden=int(dim * mlp_ratio),
        num_heads=heads,
        spike_mode=draw(st.sampled_from(["lif", "plif"])),
        time_steps=draw(st.sampled_from([1, 2, 4, 7, 16])),
        pooling_stat=pooling,
        dvs_mode=draw(st.booleans()),
        batch=draw(st.integers(1, 3)),
        height=divisor * draw(st.integers(1, max(1, 10 // divisor))),
        width=divisor * draw(st.integers(1, max(1, 10 // divisor))),
        frames=draw(st.booleans()),
        drive=draw(st.sampled_from([0.5, 0.0, 1.0, 2.0, -100.0, 100.0])),
        dyadic=draw(st.booleans()),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


@st.composite
def dense_spikes(draw: st.DrawFn, max_channels: int = 80) -> np.ndarray:
    """0/1 tensors [T, B, C, H, W] of any rate; 80 channels need more than one 64-bit word."""
    shape = tuple(draw(st.integers(1, limit)) for limit in (4, 3, max_channels, 5, 5))
    rate = draw(st.sampled_from([0.0, 0.05, 0.3, 0.8, 1.0]))
    return (np.random.default_rng(draw(st.integers(0, 2**32 - 1))).random(shape) < rate).astype(np.uint8)
