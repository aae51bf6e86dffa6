"""The head: mean over tokens, neurons, and the classifier at each time step (official head_lif and head)."""

import numpy as np

from ..engine.current import Units
from ..engine.run import Run
from ..engine.stored import StoredCurrent
from ..engine.storing import store
from ..fixed.registers import WIDE
from .parts import Parts


class Head:
    """The mean acts on the stream, before the neurons; so one neuron per channel reads the whole image."""

    def __init__(self, parts: Parts) -> None:
        self.head_lif = parts.neuron("head_lif")
        self.head = parts.synapse("head")

    def __call__(self, u: StoredCurrent, run: Run) -> np.ndarray:
        """[T, B, H, W, C] stream -> [T, B, K] logits of each time step."""
        s = run.record("head_lif", self.head_lif(mean_tokens(u, run), run))  # [T, B, C] spikes
        logits = store(self.head(s), run)
        if logits.units is None:
            return logits.array
        bits = int(logits.units.fraction.bits[0, 0])  # the head has one scale
        return np.ldexp(logits.array.astype(np.float64), -bits)


def mean_tokens(u: StoredCurrent, run: Run) -> StoredCurrent:
    """Mean over the tokens, summed in token order: [T, B, H, W, C] -> [T, B, C]; in fixed point not divided."""
    T, B, H, W = u.grid
    tokens = u.panels.reshape(-1, T, B, H * W, u.panels.shape[-1])
    total = tokens[:, :, :, 0].astype(WIDE if u.units else u.dtype)
    for n in range(1, H * W):
        total += tokens[:, :, :, n]
    divisions = 0 if u.units else B * u.n_channels
    run.count_other("token_mean", "head_lif", ac=B * H * W * u.n_channels, mac=divisions)
    if u.units is None:
        return StoredCurrent((T, B), u.n_channels, total / u.dtype.type(H * W))
    return StoredCurrent((T, B), u.n_channels, total, Units(u.units.fraction, tokens=H * W, mean=True))


def mean_steps(logits: np.ndarray, run: Run, fixed: bool = False) -> np.ndarray:
    """Mean over the time steps, summed in their order: [T, B, K] -> [B, K].

    Parameters
    ----------
    fixed : whether the sum is the answer, in units of 1/T, and divided only to be shown: then no division is counted
    """
    total = logits[0].copy()
    for step in logits[1:]:
        total += step
    divisions = np.zeros(len(logits), np.int64)
    divisions[-1] = 0 if fixed else total.size
    run.count_other("time_mean", "head", ac=total.size, mac=divisions)
    return total / logits.dtype.type(len(logits))
