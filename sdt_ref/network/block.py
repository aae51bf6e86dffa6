"""One encoder block: attention, then MLP (official module MS_Block_Conv)."""

from ..engine.run import Run
from ..engine.stored import StoredCurrent
from ..weights.config import ModelConfig
from .mlp import SpikingMLP
from .parts import Parts
from .sdsa import SpikeDrivenSelfAttention


class Block:
    """An encoder block.

    Both halves read spikes of the stream and add real currents to it; no normalisation stands between them.

    Attributes
    ----------
    tokens_apart : see `engine/token_parallel.py`; the pools of dvs mode reach into neighbouring tokens
    """

    def __init__(self, j: int, parts: Parts, config: ModelConfig) -> None:
        self.attn = SpikeDrivenSelfAttention(j, parts, config)
        self.mlp = SpikingMLP(j, parts)
        self.tokens_apart = not config.dvs_mode

    def __call__(self, u: StoredCurrent, run: Run) -> StoredCurrent:
        """[T, B, H, W, C] stream -> the same."""
        u = self.attn(u, run)
        return self.mlp(u, run)
