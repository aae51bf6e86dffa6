"""Mask and add, by hand."""

import numpy as np

from sdt_ref import SpikeEvents
from sdt_ref.evidence.lone_attention import attention, mask_and_add
from sdt_ref.weights.arithmetic import FLOAT32


def spikes(*tokens: list[int]) -> SpikeEvents:
    """One row of channels for each token of a row of pixels."""
    return SpikeEvents.from_dense(np.array(tokens, np.uint8).T[None, None, :, None, :])


def test_a_channel_of_q_passes_whole_where_k_and_v_meet_at_any_token() -> None:
    """Channel 0: they meet at token 1. Channel 1: they never meet. Channel 2: they meet, but Q is silent."""
    q = spikes([1, 1, 0], [0, 1, 0], [1, 0, 0])
    k = spikes([1, 1, 1], [1, 0, 1], [0, 0, 1])
    v = spikes([0, 0, 1], [1, 1, 1], [0, 1, 1])
    z, run = mask_and_add(attention(FLOAT32), q, k, v, FLOAT32)
    assert z.to_dense()[0, 0, :, 0].T.tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 0]]
    counted = run.counter.stage_counts["attention"]["block.0.attn.talking_heads_lif"]
    assert counted.ac.tolist() == [1 + 0 + 3]  # one for each spike of K AND V


def test_in_dvs_mode_neighbours_of_a_token_meet_too() -> None:
    """K AND V has one spike, at token 0 of channel 0; what passes the mask spreads to the tokens beside it."""
    q = spikes([0], [0], [1], [0], [0])
    k = spikes([1], [0], [0], [0], [0])
    z, _ = mask_and_add(attention(FLOAT32, dvs_mode=True), q, k, k, FLOAT32)
    assert z.to_dense().ravel().tolist() == [0, 1, 1, 1, 0]
