"""Claim: spike-driven self-attention is mask and add: Q AND (OR over the tokens of K AND V), and nothing else.

That holds for an LIF, and for a PLIF with w >= 0: a single spike takes their neurons to the threshold. Otherwise the
neuron counts. Every Q, K and V of a small size is tried, all of them at once as the samples of a batch; and the spikes
that a whole network had in a run, of as many channels and tokens as it has, are compared with Boolean tensors.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..dense import steps
from ..dense.fixed import FixedOracle, Numbers
from ..engine.events import SpikeEvents
from ..engine.neuron import is_or
from ..network.model import SpikeDrivenTransformer
from ..network.sdsa import SpikeDrivenSelfAttention
from ..result import Result
from ..weights.arithmetic import FIXED, FLOAT32, Arithmetic
from ..weights.folding import Parameters
from .boolean_attention import Attend, Size, all_spikes, any_token, dense, official, spread, tokens_counted
from .lone_attention import attention, mask_and_add, with_heads

SIZES: tuple[Size, ...] = ((1, 2, 2), (2, 2, 1), (1, 3, 1), (1, 5, 1), (4, 1, 1), (3, 2, 1))  # T, N, C
DVS_SIZES: tuple[Size, ...] = ((1, 2, 2), (2, 2, 1), (1, 5, 1), (1, 3, 2))
PLIF = 0.0, 0.5, -1.5  # w; the last leak is 0.18, so that a neuron needs three spikes


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
    wrong : of them, those whose spikes are not what the rule says, or not what a neuron does that is stepped densely
    unlike_or : those whose spikes are not what an OR would say
    witness : one of these
    demanded : whether a neuron that counts must have shown here that an OR would not do
    """

    neuron: str
    rule: str
    sizes: tuple[Size, ...]
    cases: int
    wrong: int
    unlike_or: int
    witness: Witness | None
    demanded: bool = False

    @property
    def holds(self) -> bool:
        """Whether the rule was followed."""
        shown = self.unlike_or > 0 or not self.demanded
        return self.wrong == 0 and (self.unlike_or == 0 if self.rule == "OR" else shown)


@dataclass(frozen=True)
class Recorded:
    """One attention of a whole network in a run: what it made of its Q, K and V, against Boolean tensors.

    Attributes
    ----------
    spikes : of Q, K and V together
    most : the greatest number of tokens at which one channel of K AND V spikes
    compared : places of K AND V, of the mask, and of what Q keeps of it
    wrong : of them, those that hold another spike than the Boolean tensors
    """

    block: int
    tokens: int
    channels: int
    spikes: int
    most: int
    compared: int
    wrong: int

    @property
    def holds(self) -> bool:
        """Whether all places are right."""
        return self.wrong == 0


@dataclass(frozen=True)
class MaskAndAdd:
    """Evidence that SDSA is AND and OR, or AND and counting.

    Attributes
    ----------
    recorded : of every block in a run, if there was one
    """

    exhaustions: tuple[Exhaustion, ...]
    recorded: tuple[Recorded, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the claim holds."""
        return all(tried.holds for tried in self.exhaustions) and all(seen.holds for seen in self.recorded)


@dataclass(frozen=True)
class Kind:
    """One kind of attention.

    Attributes
    ----------
    attend : its neurons, stepped densely
    rule : 'OR' or 'count', where it is known for this kind of neuron; None: find out
    """

    name: str
    attn: SpikeDrivenSelfAttention
    arithmetic: Arithmetic
    attend: Attend
    rule: str | None = None


def masks_and_adds(
    model: SpikeDrivenTransformer | None = None,
    sizes: tuple[Size, ...] = SIZES,
    dvs_sizes: tuple[Size, ...] = DVS_SIZES,
    progress: Callable[[str], None] = lambda name: None,
    result: Result | None = None,
) -> MaskAndAdd:
    """Try all spikes of small sizes, and look at those of a run.

    Parameters
    ----------
    model : whose attention is tried too, in its own arithmetic
    progress : called with the name of each kind of attention before it is tried
    result : of a run of the model whose spikes were recorded
    """
    found = []
    of_model = [] if model is None else list(_of_model(model))
    for kind in (*of_model, *_known()):
        progress(kind.name)
        found.append(_exhaust(kind, dvs_sizes if kind.attn.dvs_mode else sizes))
    runs = [] if result is None else [_recorded(j, kind, result) for j, kind in enumerate(of_model)]
    return MaskAndAdd(tuple(found), tuple(runs))


def _of_model(model: SpikeDrivenTransformer) -> Iterator[Kind]:
    """The attention of each block."""
    for j, block in enumerate(model.blocks):
        name = f"block.{j}.attn.talking_heads_lif"
        yield Kind(
            f"block {j}, {model.arithmetic.name}", block.attn, model.arithmetic, _stepped(block.attn, model, name)
        )


def _known() -> Iterator[Kind]:
    """Attention of which the claim says what it is."""
    for dvs_mode in (False, True):
        for w in (None, *PLIF):
            attn = attention(FLOAT32, w, dvs_mode)
            name = f"{'LIF' if w is None else f'PLIF, w = {w:g}'}{', dvs mode' if dvs_mode else ''}"
            yield Kind(name, attn, FLOAT32, _stepped(attn), "OR" if w is None or w >= 0 else "count")


def _stepped(attn: SpikeDrivenSelfAttention, model: SpikeDrivenTransformer | None = None, name: str = "") -> Attend:
    """The attention's neurons as a dense oracle steps them."""
    parameters = attn.talking_heads_lif.parameters
    if model is None or model.arithmetic is not FIXED:
        return lambda kv: steps(parameters, tokens_counted(kv).astype(parameters.threshold.dtype))[1].astype(bool)

    alone = Parameters({}, {name: parameters})

    def attend(kv: np.ndarray) -> np.ndarray:
        T, B, h, N, d = kv.shape
        tokens = Numbers(np.broadcast_to(np.int64(0), (T, B, h * d, 1, N)), 0)
        return FixedOracle(alone, model.config, T).attend(name, tokens_counted(kv), tokens).astype(bool)

    return attend


def _exhaust(kind: Kind, sizes: tuple[Size, ...]) -> Exhaustion:
    parameters = kind.attn.talking_heads_lif.parameters
    rule = kind.rule or ("OR" if all(is_or(parameters, N) for _, N, _ in sizes) else "count")
    dvs_mode = kind.attn.dvs_mode
    cases = wrong = unlike_or = 0
    witness = None
    for size in sizes:
        for heads in (1, 2) if size[2] == 2 else (1,):
            alone = with_heads(kind.attn, heads)
            for q, k, v in all_spikes(size):
                found = _attended(alone, q, k, v, kind.arithmetic)
                by_or, stepped = dense(q, k, v, heads, (any_token, kind.attend), dvs_mode)
                unlike = (found != by_or).any(axis=(0, 2, 3, 4))  # of each sample
                misstepped = unlike if stepped is by_or else (found != stepped).any(axis=(0, 2, 3, 4))
                cases += len(unlike)
                wrong += int((misstepped | unlike if rule == "OR" else misstepped).sum())
                unlike_or += int(unlike.sum())
                if witness is None and not dvs_mode and size[2] == 1:
                    witness = _witness(unlike, q, k, v, found)
    return Exhaustion(kind.name, rule, sizes, cases, wrong, unlike_or, witness, demanded=kind.rule is not None)


def _recorded(j: int, kind: Kind, result: Result) -> Recorded:
    """Compare what an attention had in a run."""
    hook, heads, widen = kind.attn.hook, kind.attn.heads, spread if kind.attn.dvs_mode else np.asarray
    names = "q_lif", "k_lif", "v_lif", "kv_before", "kv", "x_after_qkv"
    q, k, v, kv, mask, z = (result.spikes[f"{hook}_{name}"].to_dense().astype(bool) for name in names)
    T, B, C, H, W = q.shape
    q, k, v = (s.reshape(T, B, heads, C // heads, H * W).swapaxes(3, 4) for s in (q, k, v))  # [T, B, h, N, d]
    counted = widen(k & v)
    passing = kind.attend(counted)
    pairs = (kv, k & v), (mask, passing), (z, widen(q & passing))
    return Recorded(
        j,
        H * W,
        C,
        int(sum(s.sum() for s in (q, k, v))),
        int(tokens_counted(counted).max()),
        sum(found.size for found, _ in pairs),
        sum(int((found != right).sum()) for found, right in pairs),
    )


def _attended(
    attn: SpikeDrivenSelfAttention, q: np.ndarray, k: np.ndarray, v: np.ndarray, arithmetic: Arithmetic
) -> np.ndarray:
    """The engine's attention: three times bool[T, B, N, C] -> uint8[T, B, C, 1, N]."""
    of_q, of_k, of_v = (SpikeEvents.from_dense(official(s)) for s in (q, k, v))
    z, _ = mask_and_add(attn, of_q, of_k, of_v, arithmetic)
    return z.to_dense()


def _witness(unlike: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray, found: np.ndarray) -> Witness | None:
    candidates = np.flatnonzero(unlike & q.all(axis=(0, 2, 3)))
    if not candidates.size:
        return None
    b = candidates[0]
    counts = (k & v)[:, b, :, 0].sum(axis=1)
    return Witness(*(tuple(values.tolist()) for values in (counts, (counts > 0).astype(int), found[:, b, 0, 0, 0])))
