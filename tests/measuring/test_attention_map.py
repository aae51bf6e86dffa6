"""Attention maps are what dense tensors say."""

import numpy as np
import pytest
from hypothesis import example, given, settings

import sdt_ref
from sdt_ref.measuring.attention_map import attention_maps
from tests.networks import Network, input_of, model_of
from tests.strategies import networks


@pytest.mark.slow
@given(networks())
@example(Network(drive=1.5, depth=2))
@example(Network(drive=1.5, spike_mode="plif", time_steps=1, num_heads=2, seed=3))
@example(Network(drive=1.5, dvs_mode=True, frames=True, batch=3, height=4, width=8))
@example(Network(drive=1.5, spike_mode="plif", dvs_mode=True, num_heads=1, time_steps=16))
@example(Network(drive=-100))
@settings(max_examples=20)
def test_maps_are_what_dense_tensors_say(n: Network) -> None:
    result = model_of(n)(input_of(n), record=True)
    for sample in range(n.batch):
        maps = attention_maps(result.spikes, sample)
        assert [seen.block for seen in maps] == list(range(n.depth))
        for j, seen in enumerate(maps):
            q, k, v, before, kv, after = (
                result.spikes[f"MS_SSA_Conv{j}_{hook}"].to_dense()[:, sample].astype(np.int64)
                for hook in ("q_lif", "k_lif", "v_lif", "kv_before", "kv", "x_after_qkv")
            )
            mask = kv.reshape(n.time_steps, n.dim)
            passing = (q * mask[:, :, None, None]).sum(axis=1)
            assert seen.heads == n.num_heads
            assert np.array_equal(seen.mask, mask == 1)
            assert np.array_equal(seen.passing, passing)
            for spikes, dense in ((seen.q, q), (seen.k, k), (seen.v, v), (seen.kv, before), (seen.output, after)):
                assert np.array_equal(spikes, dense.reshape(n.time_steps, -1).sum(axis=1))
            assert np.array_equal(seen.passed, passing.sum(axis=(1, 2)))
            assert np.array_equal(seen.tokens, (passing > 0).sum(axis=(1, 2)))
            if n.spike_mode == "lif" and not n.dvs_mode:  # the official simplification: an OR over tokens
                assert np.array_equal(seen.mask, (k & v).any(axis=(2, 3)))
            if not n.dvs_mode:
                assert np.array_equal(seen.passed, seen.output)


def test_maps_need_recorded_events_of_the_sample() -> None:
    n = Network(batch=2)
    model, x = model_of(n), input_of(n)
    with pytest.raises(sdt_ref.EventsError, match="run the model with record=True"):
        attention_maps(model(x).spikes)
    spikes = model(x, record=True).spikes
    with pytest.raises(sdt_ref.EventsError, match="expected a sample from 0 to 1, found 2"):
        attention_maps(spikes, 2)
    with pytest.raises(sdt_ref.EventsError, match="expected events of MS_SSA_Conv0_q_lif, found NoneType"):
        attention_maps({hook: events for hook, events in spikes.items() if not hook.endswith("q_lif")})
