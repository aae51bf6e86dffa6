"""What a run gives back."""

import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import sdt_ref
from sdt_ref.result import OperationCount
from tests.networks import Network, input_of, model_of


def test_result_tables_are_made_once_and_lent_safely() -> None:
    n = Network()
    result = model_of(n)(input_of(n))
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: id(result.counts["head"]), range(50)))
    assert len(set(made)) == 1
    result.other_counts["time_mean"].ac[:] = 7
    assert result.other_counts["time_mean"].ac.tolist() != [7] * n.time_steps
    copied = pickle.loads(pickle.dumps(result))
    assert copied.counts["head"].ac.tolist() == result.counts["head"].ac.tolist()
    assert result != copied
    assert len({result, copied}) == 2


@pytest.mark.parametrize("frames", [False, True])
def test_a_layer_that_reads_no_spikes_has_no_firing_rate(frames: bool) -> None:
    """It is NaN, so that a table of rates is one of numbers; silence is a rate of 0."""
    n = Network(frames=frames, drive=-100)
    result = model_of(n)(input_of(n))
    for counts in (result.counts, sdt_ref.dense.forward(model_of(n), input_of(n)).counts):
        rates = {name: count.firing_rate for name, count in counts.items()}
        assert [name for name, rate in rates.items() if math.isnan(rate)] == ["MS_SPS_proj_conv"]
        assert set(rates.values()) - {rates["MS_SPS_proj_conv"]} == {0.0}
        assert np.array(list(rates.values())).dtype == np.float64
    assert math.isnan(OperationCount.none(3).firing_rate)


def test_in_fixed_point_the_first_layer_reads_the_bits_of_pixels() -> None:
    n = Network()
    assert 0 < model_of(n, "fixed")(input_of(n)).counts["MS_SPS_proj_conv"].firing_rate < 1
