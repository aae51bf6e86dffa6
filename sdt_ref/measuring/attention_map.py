"""What each attention let through: its mask, and the Q spikes that passed it, from the recorded events."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..engine.events import SpikeEvents
from ..errors import EventsError, shown
from ..result import Spikes
from ..weights.config import is_int

HOOK = "MS_SSA_Conv"


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """Mask and add of one block, for one sample; every number is a count of spikes.

    Attributes
    ----------
    block : j of the official MS_SSA_Conv{j}
    heads : h; the channels c of head i are those with c // (C / h) == i
    q, k, v : spikes, int64[T]; in dvs mode K and V after their pool
    kv : spikes of K AND V, int64[T]; in dvs mode before their pool
    mask : channels whose attention neuron fired: there, Q spikes pass at every token; bool[T, C]
    passing : Q spikes of each token that pass the mask, int64[T, H, W]
    output : spikes that the projection reads, int64[T]: those that pass; in dvs mode, what its pool makes of them
    """

    block: int
    heads: int
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    kv: np.ndarray
    mask: np.ndarray
    passing: np.ndarray
    output: np.ndarray

    @property
    def passed(self) -> np.ndarray:
        """Q spikes that pass the mask, int64[T]."""
        return self.passing.sum(axis=(1, 2))

    @property
    def tokens(self) -> np.ndarray:
        """Tokens through which at least one Q spike passes, int64[T]."""
        return np.count_nonzero(self.passing, axis=(1, 2))


def attention_maps(spikes: Mapping[str, Spikes], sample: int = 0) -> list[AttentionMap]:
    """Read the maps of all blocks out of `model(x, record=True).spikes`.

    Parameters
    ----------
    spikes : by official hook name, as the engine records them
    sample : of the batch

    Raises EventsError unless the attention's spikes were recorded, of that sample.
    """
    if not isinstance(spikes, Mapping):
        raise EventsError(f"attention maps: expected spikes by name, found {shown(spikes)}")
    blocks = sum(isinstance(name, str) and name.startswith(HOOK) and name.endswith("_kv") for name in spikes)
    if not blocks:
        raise EventsError(f"attention maps: expected spikes of {HOOK}0_kv, found none; run the model with record=True")
    return [_map(j, spikes, sample) for j in range(blocks)]


def _map(j: int, spikes: Mapping[str, Spikes], sample: int) -> AttentionMap:
    q, k, v, kv, mask, output = (
        _events(spikes, f"{HOOK}{j}_{part}") for part in ("q_lif", "k_lif", "v_lif", "kv_before", "kv", "x_after_qkv")
    )
    T, B, H, W = q.grid
    if not is_int(sample) or not 0 <= sample < B:
        raise EventsError(f"attention maps: expected a sample from 0 to {B - 1}, found {shown(sample)}")
    lets_pass = np.zeros((T, q.n_channels), np.bool_)
    passing = np.zeros((T, H, W), np.int64)
    for t in range(T):
        lets_pass[t, _step(mask, t, sample)[1]] = True
        offsets, channels = _step(q, t, sample)
        passed = np.concatenate([[0], np.cumsum(lets_pass[t, channels])])  # of the events up to each
        passing[t] = np.diff(passed[offsets]).reshape(H, W)

    def per_step(events: SpikeEvents) -> np.ndarray:
        return np.array([len(_step(events, t, sample)[1]) for t in range(T)], np.int64)

    return AttentionMap(
        j,
        mask.heads or 1,
        q=per_step(q),
        k=per_step(k),
        v=per_step(v),
        kv=per_step(kv),
        mask=lets_pass,
        passing=passing,
        output=per_step(output),
    )


def _step(events: SpikeEvents, t: int, sample: int) -> tuple[np.ndarray, np.ndarray]:
    """Offsets, from 0, and channels of the rows of one sample at one time step."""
    n = math.prod(events.grid[2:])
    first = (t * events.grid[1] + sample) * n
    offsets = events.offsets[first : first + n + 1]
    return offsets - offsets[0], events.channels[offsets[0] : offsets[-1]]


def _events(spikes: Mapping[str, Spikes], hook: str) -> SpikeEvents:
    events = spikes.get(hook)
    if not isinstance(events, SpikeEvents):
        raise EventsError(f"attention maps: expected events of {hook}, found {type(events).__name__}")
    return events
