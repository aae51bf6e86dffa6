"""Claim: spike-driven self-attention is mask and add: Q AND (OR over the tokens of K AND V), and nothing else.

That holds for an LIF, and for a PLIF with w >= 0: a single spike takes their neurons to the threshold. Otherwise the
neuron counts. Every Q, K and V of a small size is tried, all of them at once as the samples of a batch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..arithmetic import FIXED, FLOAT32, Arithmetic
from ..dense.layers import neurons
from ..dense.whole import Numbers, WholeOracle
from ..events import SpikeEvents
from ..model import SpikeDrivenTransformer
from ..sdsa import SpikeDrivenSelfAttention
from .attention import attention, mask_and_add, with_heads

Size = tuple[int, int, int]

SIZES: tuple[Size, ...] = ((1, 2, 2), (2, 2, 1), (1, 3, 1), (1, 5, 1), (4, 1, 1), (3, 2, 1))  # T, N, C
DVS_SIZES: tuple[Size, ...] = ((1, 2, 2), (2, 2, 1), (1, 5, 1), (1, 3, 2))
PLIF = 0.0, 0.5, -1.5  # w; the last leak is 0.18, so that a neuron needs three spikes
AT_ONCE = 1 << 14  # cases of a batch
SURE = 0.5  # a leak that takes one spike to the attention's threshold

Attend = Callable[[np.ndarray], np.ndarray]  # bool[T, B, h, N, d] -> bool[T, B, h, 1, d]


@dataclass(frozen=True)
class Witness:
    """A case in which an OR would be wrong: one channel, all of Q spiking.

    Attributes
    ----------
    counts : spikes of K AND V over the tokens, for each time step
    by_or, by_neuron : the mask that each makes of them
    """

    counts: tuple[int, ...]
    by_or: tuple[int, ...]
    by_neuron: tuple[int, ...]


@dataclass(frozen=True)
class Exhaustion:
    """All spikes of some sizes, through one kind of attention.

    Attributes
    ----------
    neuron : of the attention
    rule : 'OR', or 'count'
    sizes : T, N, C
    cases : combinations of Q, K and V tried
    wrong : of them, those whose spikes are not what the rule says
    unlike_or : those whose spikes are not what an OR would say
    witness : one of these
    """

    neuron: str
    rule: str
    sizes: tuple[Size, ...]
    cases: int
    wrong: int
    unlike_or: int
    witness: Witness | None

    @property
    def holds(self) -> bool:
        """Whether the rule was followed; a neuron that counts must have shown that an OR would not do."""
        return self.wrong == 0 and (self.unlike_or == 0) == (self.rule == "OR")


@dataclass(frozen=True)
class MaskAndAdd:
    """Evidence that SDSA is AND and OR, or AND and counting."""

    exhaustions: tuple[Exhaustion, ...]

    @property
    def holds(self) -> bool:
        """Whether the claim holds."""
        return all(exhaustion.holds for exhaustion in self.exhaustions)


def masks_and_adds(
    model: SpikeDrivenTransformer | None = None,
    sizes: tuple[Size, ...] = SIZES,
    dvs_sizes: tuple[Size, ...] = DVS_SIZES,
    told: Callable[[str], None] = lambda name: None,
) -> MaskAndAdd:
    """Try all spikes of small sizes.

    Parameters
    ----------
    model : whose attention is tried too, in its own arithmetic
    told : is called with the name of each kind of attention before it is tried
    """
    found = []
    for name, attn, arithmetic, count in _kinds(model):
        told(name)
        found.append(_exhaust(name, attn, arithmetic, count, dvs_sizes if attn.dvs_mode else sizes))
    return MaskAndAdd(tuple(found))


def _kinds(
    model: SpikeDrivenTransformer | None,
) -> Iterator[tuple[str, SpikeDrivenSelfAttention, Arithmetic, Attend | None]]:
    """Kinds of attention: a name, itself, its arithmetic, and its neuron on dense spikes if it counts."""
    for j, block in enumerate([] if model is None else model.blocks):
        assert model is not None
        name = f"block.{j}.attn.talking_heads_lif"
        yield f"block {j}, {model.arithmetic.name}", block.attn, model.arithmetic, _counting(block.attn, model, name)
    for dvs_mode in (False, True):
        for w in (None, *PLIF):
            attn = attention(FLOAT32, w, dvs_mode)
            name = f"{'LIF' if w is None else f'PLIF, w = {w:g}'}{', dvs mode' if dvs_mode else ''}"
            yield name, attn, FLOAT32, _counting(attn)


def _counting(
    attn: SpikeDrivenSelfAttention, model: SpikeDrivenTransformer | None = None, name: str = ""
) -> Attend | None:
    """The attention's neuron as a dense oracle steps it; None for one that is an OR."""
    parameters = attn.talking_heads_lif.parameters
    if parameters.decay >= SURE:
        return None
    if model is None or model.arithmetic is not FIXED:
        return lambda kv: neurons(_sum(kv).astype(parameters.threshold.dtype), parameters).astype(bool)

    def attend(kv: np.ndarray) -> np.ndarray:
        T, B, h, N, d = kv.shape
        tokens = Numbers(np.broadcast_to(np.int64(0), (T, B, h * d, 1, N)), 0)
        return WholeOracle(model, T).attend(name, _sum(kv), tokens).astype(bool)

    return attend


def _sum(kv: np.ndarray) -> np.ndarray:
    return kv.sum(axis=3, keepdims=True, dtype=np.int64)


def _any(kv: np.ndarray) -> np.ndarray:
    return np.asarray(kv.any(axis=3, keepdims=True))


def _exhaust(
    name: str, attn: SpikeDrivenSelfAttention, arithmetic: Arithmetic, count: Attend | None, sizes: tuple[Size, ...]
) -> Exhaustion:
    cases = wrong = unlike_or = 0
    witness = None
    for size in sizes:
        for heads in (1, 2) if size[2] == 2 else (1,):
            alone = with_heads(attn, heads)
            for q, k, v in all_spikes(size):
                found = _attended(alone, q, k, v, arithmetic)
                by_or = dense(q, k, v, heads, _any, attn.dvs_mode)
                unlike = (found != by_or).any(axis=(0, 2, 3, 4))  # of each sample
                ruled = by_or if count is None else dense(q, k, v, heads, count, attn.dvs_mode)
                cases += len(unlike)
                wrong += int((found != ruled).any(axis=(0, 2, 3, 4)).sum())
                unlike_or += int(unlike.sum())
                if witness is None and not attn.dvs_mode and size[2] == 1:
                    witness = _witness(unlike, q, k, v, found)
    return Exhaustion(name, "OR" if count is None else "count", sizes, cases, wrong, unlike_or, witness)


def _attended(
    attn: SpikeDrivenSelfAttention, q: np.ndarray, k: np.ndarray, v: np.ndarray, arithmetic: Arithmetic
) -> np.ndarray:
    """The engine's attention: three times bool[T, B, N, C] -> uint8[T, B, C, 1, N]."""
    of_q, of_k, of_v = (SpikeEvents.from_dense(_official(s)) for s in (q, k, v))
    z, _ = mask_and_add(attn, of_q, of_k, of_v, arithmetic)
    return z.to_dense()


def all_spikes(size: Size) -> Iterator[np.ndarray]:
    """Every Q, K and V of a size, in batches: bool[3, T, B, N, C]."""
    T, N, C = size
    bits = 3 * T * N * C
    for first in range(0, 1 << bits, AT_ONCE):
        numbers = np.arange(first, min(first + AT_ONCE, 1 << bits))
        spikes = (numbers[:, None] >> np.arange(bits) & 1).astype(bool)
        yield np.moveaxis(spikes.reshape(-1, 3, T, N, C), 0, 2)


def dense(q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int, attend: Attend, dvs_mode: bool) -> np.ndarray:
    """Attention on dense spikes, three times bool[T, B, N, C] -> uint8[T, B, C, 1, N]; K and V already pooled."""
    T, B, N, C = q.shape

    def split(s: np.ndarray) -> np.ndarray:  # -> [T, B, h, N, d]
        return s.reshape(T, B, N, heads, C // heads).swapaxes(2, 3)

    kv = split(k & v)
    z = split(q) & attend(_spread(kv) if dvs_mode else kv)
    z = _spread(z) if dvs_mode else z
    return _official(z.swapaxes(2, 3).reshape(T, B, N, C))


def _spread(s: np.ndarray) -> np.ndarray:
    """OR over 3x3 of (token, channel within its head): bool[..., N, d] -> the same."""
    N, d = s.shape[-2:]
    padded = np.pad(s, [(0, 0)] * (s.ndim - 2) + [(1, 1), (1, 1)])
    return np.logical_or.reduce([padded[..., n : n + N, c : c + d] for n in range(3) for c in range(3)])


def _official(s: np.ndarray) -> np.ndarray:
    return s.swapaxes(2, 3)[:, :, :, None].astype(np.uint8)


def _witness(unlike: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray, found: np.ndarray) -> Witness | None:
    candidates = np.flatnonzero(unlike & q.all(axis=(0, 2, 3)))
    if not candidates.size:
        return None
    b = candidates[0]
    counts = (k & v)[:, b, :, 0].sum(axis=1)
    return Witness(*(tuple(values.tolist()) for values in (counts, (counts > 0).astype(int), found[:, b, 0, 0, 0])))
