"""The engine, number by number, against a machine that was written from docs/fixed-point.md alone."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import sdt_ref
from sdt_ref.fixed.formats import Formats
from sdt_ref.golden.trace_file import open_trace
from sdt_ref.golden.writing import write_trace
from sdt_ref.weights.file import Weights
from tests.independent_machine import Machine, Overflow
from tests.networks import Network, input_of, weights_of
from tests.strategies import formats_files


def engine(weights: Weights, formats: str) -> sdt_ref.SpikeDrivenTransformer:
    return sdt_ref.SpikeDrivenTransformer(weights, "fixed", 1, Formats.from_toml(formats))


def assert_as_specified(model: sdt_ref.SpikeDrivenTransformer, weights: Weights, x: np.ndarray, formats: str) -> None:
    """Every record and the logits of one sample; x is [1, C, H, W], or [1, T, C, H, W]."""
    frames = x[0] if x.ndim == 5 else np.repeat(x, weights.config.time_steps, axis=0)
    machine = Machine(dict(weights.tensors), weights.config, weights.preprocessing, formats, *x.shape[-2:])
    try:
        logits = [machine.step(frame) for frame in frames]
    except Overflow:
        with pytest.raises(sdt_ref.FormatError, match="do not fit, the first in"):
            model(x)
        return
    with tempfile.TemporaryDirectory() as folder:
        result = write_trace(Path(folder) / "run.h5", model, x)
        with open_trace(Path(folder) / "run.h5") as trace:
            assert set(trace.records) == set(machine.records)
            for name in trace.records:
                rows = [np.asarray(values).reshape(len(values), -1).T for values in machine.records[name]]
                assert np.array_equal(trace.values(name), np.stack(rows).astype(np.int64)), name
    unit = 2.0**-machine.logit_fraction
    assert (result.logits_per_step[:, 0] == np.array(logits, float) * unit).all()
    assert (result.logits[0] == np.sum(logits, axis=0).astype(float) * unit / len(frames)).all()


@st.composite
def small_networks(draw: st.DrawFn) -> Network:
    """One sample, few channels: the machine is slow."""
    dim, heads = draw(st.sampled_from([(8, 1), (8, 2), (16, 4)]))
    pooling = draw(st.sampled_from(["0000", "0011", "0101", "1001", "0110"]))
    divisor = 2 ** pooling.count("1")
    return Network(
        dim=dim,
        depth=draw(st.integers(1, 2)),
        in_channels=draw(st.integers(1, 3)),
        num_classes=draw(st.integers(1, 3)),
        hidden=draw(st.sampled_from([dim, 5, 24])),
        num_heads=heads,
        spike_mode=draw(st.sampled_from(["lif", "plif"])),
        time_steps=draw(st.integers(1, 3)),
        pooling_stat=pooling,
        dvs_mode=draw(st.booleans()),
        batch=1,
        height=divisor * draw(st.integers(1, 2)),
        width=divisor * draw(st.integers(1, 3)),
        frames=draw(st.booleans()),
        drive=draw(st.sampled_from([0.5, 0.0, 2.0])),
        dyadic=draw(st.booleans()),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


@pytest.mark.slow
@settings(max_examples=30)
@given(n=small_networks(), formats=formats_files())
def test_the_engine_is_the_machine_of_the_specification(n: Network, formats: str) -> None:
    try:
        model = engine(weights_of(n), formats)
    except sdt_ref.FormatError:  # seldom: weights that no scale holds, registers too far apart for 64 bits
        reject()
    assert_as_specified(model, weights_of(n), input_of(n), formats)


@pytest.mark.parametrize("settings", [
    {}, {"mean": (0.1, 0.5, 0.9), "std": (0.2, 0.01, 0.3)}, {"frames": True}, {"frames": True, "antialias": True},
])  # fmt: skip
@pytest.mark.parametrize("left_out", [
    "", "[default]\nmembrane.bits = 20", "[default]\nweight.bits = 7", "[default]\naccumulator.bits = 30",
    "input.bits = 9", "[stage.'patch_embed.proj_conv']\nbias.bits = 14", "[stage.'patch_embed.proj_conv1']\nweight.bits = 14",
])  # fmt: skip
def test_what_a_file_leaves_out_is_as_the_specification_says(settings: dict[str, Any], left_out: str) -> None:
    n = Network(dim=16, hidden=24, time_steps=2, batch=1, spike_mode="plif")
    weights = weights_of(n)
    weights = dataclasses.replace(weights, preprocessing=dataclasses.replace(weights.preprocessing, **settings))
    formats = f"schema_version = 1\n{left_out}"
    assert_as_specified(engine(weights, formats), weights, input_of(n), formats)


WIDE = """schema_version = 1
[default]
bias = { bits = 32 }
accumulator = { bits = 48, overflow = "saturate" }
"""
WIDEST = "membrane = { bits = 47, fraction = 28, leak = '2^0 - 2^-8' }\nstream = { bits = 48, fraction = 20 }"
BEYOND = "membrane = { bits = 47, fraction = 33 }\nstream = { bits = 48, fraction = 20 }"


@pytest.mark.parametrize("drive", [1e3, 1e6, 1e8])
@pytest.mark.parametrize("registers", [WIDEST, BEYOND])
def test_sums_over_tokens_are_exact_or_refused(registers: str, drive: float) -> None:
    """256 tokens in streams of 48 bits: their sums, shifted, need 64 bits at WIDEST and 69 at BEYOND."""
    n = Network(dim=8, hidden=8, time_steps=1, height=16, width=16, pooling_stat="0000", batch=1, seed=3)
    weights, name = weights_of(n), "block.0.mlp.fc2_bn.bias"
    bias = weights.tensors[name]
    weights = dataclasses.replace(weights, tensors={**weights.tensors, name: bias + np.float32(drive) * np.sign(bias)})
    formats, reason = WIDE + registers, ""
    try:
        assert_as_specified(engine(weights, formats), weights, input_of(n), formats)
    except sdt_ref.FormatError as refused:
        reason = str(refused)
    assert not reason or (registers is BEYOND and "expected sums over 256 tokens that need 64 bits" in reason)
