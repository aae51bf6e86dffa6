"""The event engine equals the dense oracle, bit for bit, on any network."""

import os
import signal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import sdt_ref
from tests.equality import assert_engine_equals_oracle, assert_same, assert_same_results, small_tiles
from tests.networks import Network, input_of, model_of
from tests.strategies import networks

TILES = st.sampled_from([1 << 18, 4096, 300])


@pytest.mark.slow
@settings(max_examples=60)
@given(networks(), st.sampled_from(["float32", "float64"]), st.sampled_from([1, 2]), TILES)
@example(Network(dvs_mode=True, spike_mode="plif", seed=3), "float32", 2, 300)
@example(Network(hidden=16, dyadic=True), "float64", 1, 300)
@example(Network(drive=-100), "float32", 1, 300)
@example(Network(drive=100, time_steps=16), "float32", 2, 300)
def test_event_engine_equals_dense_oracle(n: Network, arithmetic: str, threads: int, tile_bytes: int) -> None:
    assert_engine_equals_oracle(n, arithmetic, threads, tile_bytes)


@settings(max_examples=15)
@given(networks(), TILES)
def test_threads_and_tiles_do_not_change_one_bit(n: Network, tile_bytes: int) -> None:
    x = input_of(n)
    one = model_of(n, threads=1)(x, record="currents")
    with small_tiles(tile_bytes):
        many = model_of(n, threads=3)(x, record="currents")
    assert_same_results(many, one)


@settings(max_examples=10)
@given(networks())
def test_recording_does_not_change_the_result(n: Network) -> None:
    x, model = input_of(n), model_of(n)
    assert_same(model(x).logits_per_step, model(x, record="currents").logits_per_step, "logits")
    assert model(x).spikes == {}
    assert model(x, record=True).currents == {}


@settings(max_examples=10)
@given(networks())
def test_images_of_a_batch_do_not_touch_each_other(n: Network) -> None:
    x, model = input_of(n), model_of(n)
    together = model(x).logits_per_step
    for b in range(n.batch):
        assert_same(model(x[b : b + 1]).logits_per_step[:, 0], together[:, b], f"image {b}")


@settings(max_examples=10)
@given(networks())
def test_a_static_image_is_the_same_as_its_repeated_frames(n: Network) -> None:
    x = input_of(n)
    static = x[:, 0] if x.ndim == 5 else x
    frames = np.repeat(static[:, None], n.time_steps, axis=1)
    model = model_of(n)
    once, repeated = model(static, record="currents"), model(frames, record="currents")
    assert_same(once.logits, repeated.logits, "logits")
    assert once.counts["MS_SPS_proj_conv"].mac[1:].sum() == 0
    assert (repeated.counts["MS_SPS_proj_conv"].mac == once.counts["MS_SPS_proj_conv"].mac[0]).all()


def test_neurons_start_from_rest_at_every_call() -> None:
    n = Network(spike_mode="plif")
    model, x = model_of(n), input_of(n)
    assert_same(model(x).logits, model(x).logits, "logits of the second call")


def test_frames_bring_their_own_time_steps() -> None:
    n = Network(time_steps=4)
    x = np.random.default_rng(0).standard_normal((2, 7, 3, 8, 8))
    assert model_of(n)(x).logits_per_step.shape == (7, 2, 5)


def test_silent_input_performs_no_addition() -> None:
    """drive -100 silences every neuron: not one weight row is added, and the logits are the head's bias."""
    n = Network(drive=-100)
    model = model_of(n)
    result = model(input_of(n), record=True)
    assert all(spikes.n_events == 0 for spikes in result.spikes.values())
    assert sum(count.ac.sum() for count in result.counts.values()) == 0
    assert_same(result.logits_per_step[0, 0], model.layer("head").bias, "logits")


def test_saturated_input_performs_every_addition() -> None:
    """Where every neuron spikes, additions are the dense multiply-accumulates, less what falls off the border."""
    n = Network(drive=100, dim=16, height=8, width=8, pooling_stat="0000", batch=1, time_steps=2, hidden=24)
    counts = model_of(n)(input_of(n)).counts
    inside = (3 * 8 - 2) ** 2  # taps of a 3x3 window over 8x8 pixels that hit a pixel
    assert counts["MS_SPS_rpe_conv"].ac.tolist() == [inside * 16 * 16] * 2
    assert counts["MS_MLP_Conv0_fc1_conv"].ac.tolist() == [64 * 16 * 24] * 2
    assert counts["MS_SPS_proj_conv"].mac.tolist() == [inside * 3 * 2, 0]


def test_hooks_stand_in_the_official_order_and_shape() -> None:
    n = Network(depth=2, time_steps=3, batch=2, dim=16, hidden=24, num_heads=4)
    spikes = model_of(n)(input_of(n), record=True).spikes
    block = [
        ("MS_SSA_Conv{}_first_lif", (3, 2, 16, 2, 2)),
        ("MS_SSA_Conv{}_q_lif", (3, 2, 16, 2, 2)),
        ("MS_SSA_Conv{}_k_lif", (3, 2, 16, 2, 2)),
        ("MS_SSA_Conv{}_v_lif", (3, 2, 16, 2, 2)),
        ("MS_SSA_Conv{}_kv_before", (3, 2, 4, 4, 4)),
        ("MS_SSA_Conv{}_kv", (3, 2, 4, 1, 4)),
        ("MS_SSA_Conv{}_x_after_qkv", (3, 2, 4, 4, 4)),
        ("MS_MLP_Conv{}_fc1_lif", (3, 2, 16, 2, 2)),
        ("MS_MLP_Conv{}_fc2_lif", (3, 2, 24, 2, 2)),
    ]
    stem = [
        ("MS_SPS_lif", (3, 2, 2, 8, 8)),
        ("MS_SPS_lif1", (3, 2, 4, 8, 8)),
        ("MS_SPS_lif2", (3, 2, 8, 8, 8)),
        ("MS_SPS_lif3", (3, 2, 16, 2, 2)),
    ]
    expected = [*stem, *((name.format(j), shape) for j in range(2) for name, shape in block), ("head_lif", (3, 2, 16))]
    assert [(name, events.shape) for name, events in spikes.items()] == expected
    assert all(events.to_dense().shape == events.shape for events in spikes.values())


def test_other_operations_are_counted_under_their_own_names() -> None:
    n = Network(batch=1, time_steps=2, pooling_stat="0000")
    result = model_of(n)(input_of(n), record=True)
    others = result.other_counts
    assert list(others) == ["bias", "threshold", "leak", "residual", "attention", "token_mean", "time_mean"]
    neurons_per_pixel = (
        (2 + 4 + 8 + 16) + 5 * 16 + 24
    )  # patch embedding; shortcut, q, k, v, fc1 of 16 channels; fc2 of 24
    assert others["leak"].ac.tolist() == [64 * neurons_per_pixel + 16 + 16] * 2  # the mask and the head have no pixels
    assert others["residual"].ac.tolist() == [3 * 64 * 16] * 2
    assert others["attention"].ac.tolist() == result.spikes["MS_SSA_Conv0_kv_before"].events_per_step().tolist()


def test_a_misspelt_record_is_refused() -> None:
    with pytest.raises(sdt_ref.ConfigError, match="record: expected True, False or 'currents', found 'current'"):
        model_of(Network())(input_of(Network()), record="current")


def test_unknown_arithmetic_and_threads_are_refused() -> None:
    with pytest.raises(
        sdt_ref.ConfigError, match="arithmetic: expected one of float32, float64, fixed, found 'float8'"
    ):
        sdt_ref.load(arithmetic="float8")
    for threads in (0, 257, 1.5, "2", True):
        with pytest.raises(sdt_ref.ConfigError, match=f"threads: expected 1 to 256, found {threads!r}"):
            sdt_ref.load(threads=threads)  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # Python 3.12 warns of forking with threads: just that is tested
def test_a_forked_child_runs_the_network_too() -> None:
    """Threads do not follow into a child; a pool inherited from its parent would wait for them for ever."""
    n = Network()
    model, x = model_of(n, threads=2), input_of(n)
    with small_tiles(300):
        model(x)
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            model(x)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
