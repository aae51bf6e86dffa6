"""Fixed point: rounding, overflow and leak by hand and by exact fractions; event engine == dense integers on any format."""

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import sdt_ref
from sdt_ref.fixed.formats import Format, Formats
from tests.equality import assert_engine_equals_oracle, assert_same
from tests.golden_cases import case_names, read_small
from tests.networks import Network, input_of, model_of
from tests.strategies import formats_files, networks


@pytest.mark.slow
@settings(max_examples=150)
@given(n=networks(), formats=formats_files(), threads=st.integers(1, 3), tile_bytes=st.sampled_from([1 << 18, 700]))
def test_events_equal_dense_integers(n: Network, formats: str, threads: int, tile_bytes: int) -> None:
    try:
        model_of(n, "fixed", formats=formats)
    except sdt_ref.FormatError:  # seldom: weights that no scale holds
        reject()
    assert_engine_equals_oracle(n, "fixed", threads, tile_bytes, formats=formats)


def test_bit_planes_sum_to_the_product_of_pixels_and_weights() -> None:
    n = Network(in_channels=2, height=4, width=4, pooling_stat="0000", seed=4)
    formats = "schema_version = 1\ninput = { bits = 10, fraction = 7 }"
    model, x = model_of(n, "fixed", formats=formats), input_of(n)
    whole = np.clip(np.rint(x * 128), -512, 511).astype(np.int64)
    padded = np.pad(whole, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    layer = model.layer("patch_embed.proj_conv")
    sums = np.einsum("bcyxij,ocij->boyx", windows, layer.weight[:, :2]) + layer.bias[:, None, None]
    membrane = Format(16, 10, "half up")
    expected = membrane.fit(membrane.align(sums, layer.fraction[:, None, None]))
    assert_same(model(x, record="currents").currents["patch_embed.proj_lif"][0], expected, "first current")


def test_a_saturating_sum_follows_the_order_of_its_inputs() -> None:
    """Bias 100, weights 100, -100, 100 in 8 bits: 127, 27, 127; in another order -100 + 100 + 100 + 100 is 127 too, then not."""
    layer = sdt_ref.fixed.quantise.FixedLayer(
        np.array([100, -100, 100]).reshape(1, 3, 1, 1), np.array([100]), np.zeros(1, np.int64), Format(8, 0), True, 1, None,
        np.dtype(np.int32), np.dtype(np.int32))  # fmt: skip
    for spikes, expected in (([1, 1, 1], 127), ([1, 1, 0], 27), ([0, 1, 1], 100), ([1, 0, 1], 127)):
        events = sdt_ref.SpikeEvents.from_dense(np.array(spikes, np.uint8).reshape(1, 1, 3))
        run = sdt_ref.engine.run.Run(1, 1)
        current = sdt_ref.engine.synapse.Synapse("layer", layer, "layer")(events)
        assert sdt_ref.engine.storing.store(current, run).array.ravel().tolist() == [expected]
    assert run.overflows["layer.accumulator"].tolist() == [2]


WIDE_REGISTERS = """schema_version = 1
input = { bits = 16, fraction = 12 }
[default]
weight = { bits = 16 }
bias = { bits = 32 }
accumulator = { bits = 44 }
membrane = { bits = 32, fraction = 24 }
stream = { bits = 32, fraction = 24 }"""


@pytest.mark.parametrize("name", case_names())
def test_wide_registers_find_the_first_spikes_of_the_official_code(name: str) -> None:
    """Deeper down a spike that fell on the other side moves others, so that the first layers tell most."""
    case = read_small(name)
    formats = (
        WIDE_REGISTERS.replace("fraction = 12", "fraction = 9") if np.abs(case.input).max() > 7 else WIDE_REGISTERS
    )
    model = sdt_ref.SpikeDrivenTransformer(case.weights, "fixed", formats=Formats.from_toml(formats))
    result = model(case.input, record=True)
    looser = 20 if name == "plif" else 1  # its leaks are rounded to 8 bits
    for hook, most in (("MS_SPS_lif", 1e-4), ("MS_SPS_lif1", 1e-3), ("MS_SPS_lif2", 2e-3)):
        assert (result.spikes[hook].to_dense() != case.spikes[hook]).mean() <= looser * most, hook
    assert not any(beyond.any() for beyond in result.overflows.values())
