"""Hypothesis strategies; all shrink towards the smallest network, one time step, one image, generic numbers."""

import numpy as np
from hypothesis import strategies as st

from sdt_ref.fixed.formats import OVERFLOWS, ROUNDINGS, SCALES
from tests.networks import Network

DTYPES = st.sampled_from([np.float32, np.float64])
SEEDS = st.integers(0, 2**32 - 1)


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
def formats_files(draw: st.DrawFn) -> str:
    """Formats of any width, rounding and overflow, as the text of a file; narrow ones overflow often."""
    roundings, overflows = st.sampled_from(ROUNDINGS), st.sampled_from(OVERFLOWS[:2])

    def register(bits: int, fraction: int | None, **others: str) -> str:
        keys = {"bits": str(bits), **({} if fraction is None else {"fraction": str(fraction)})}
        return ", ".join(f"{k} = {v}" for k, v in keys.items()) + "".join(f', {k} = "{v}"' for k, v in others.items())

    def integrating(name: str, most: int) -> str:  # holds 1 and 0.5
        bits = draw(st.integers(3, most))
        fraction = draw(st.integers(1, bits - 2))
        leak = {"leak_rounding": draw(roundings)} if name == "membrane" else {}
        if leak and draw(st.booleans()):
            leak["leak"] = draw(st.sampled_from(["2^-1", "2^0 - 2^-3", "2^-2 + 2^-5 - 2^-8", "0", "2^0"]))
        return f"{name} = {{ {register(bits, fraction, rounding=draw(roundings), overflow=draw(overflows), **leak)} }}"

    most = draw(st.sampled_from([8, 20, 34]))
    bias = draw(st.integers(6, 20))
    how = {} if draw(st.booleans()) else {"fraction": draw(st.integers(0, 4))}
    image = draw(st.integers(2, 12))
    pixels = register(image, draw(st.integers(0, image)), rounding=draw(roundings), overflow=draw(overflows))
    lines = [
        "schema_version = 1",
        f"input = {{ {pixels} }}",
        "[default]",
        f"weight = {{ {register(draw(st.integers(2, 16)), None, rounding=draw(roundings), scale=draw(st.sampled_from(SCALES)))} }}",
        f"bias = {{ {register(bias + 12 * bool(how), how.get('fraction'), rounding=draw(roundings))} }}",
        f"accumulator = {{ {register(draw(st.integers(bias + 20 * bool(how), draw(st.sampled_from([bias + 20 * bool(how), 40])))), None, overflow=draw(st.sampled_from(OVERFLOWS)))} }}",
        integrating("membrane", most),
        integrating("stream", most),
        '[stage."block.0.attn.q_lif"]',
        integrating("membrane", most),
        '[stage."patch_embed.rpe_conv"]',
        integrating("stream", most),
        '[stage."block.0.mlp.fc1_conv"]',
        f"accumulator = {{ bits = {draw(st.integers(36, 48))} }}",
    ]
    return "\n".join(lines)


@st.composite
def dense_spikes(draw: st.DrawFn, max_channels: int = 80) -> np.ndarray:
    """0/1 tensors [T, B, C, H, W] of any rate; 80 channels need more than one 64-bit word."""
    shape = tuple(draw(st.integers(1, limit)) for limit in (4, 3, max_channels, 5, 5))
    rate = draw(st.sampled_from([0.0, 0.05, 0.3, 0.8, 1.0]))
    return (np.random.default_rng(draw(st.integers(0, 2**32 - 1))).random(shape) < rate).astype(np.uint8)
