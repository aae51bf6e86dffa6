"""One encoder block: attention, then MLP (official module MS_Block_Conv)."""

from ..engine.current import StoredCurrent
from ..engine.run import Run
from ..weights.config import ModelConfig
from ..weights.folding import Parameters
from .mlp import SpikingMLP
from .sdsa import SpikeDrivenSelfAttention


class Block:
    """Both halves read spikes of the stream and add real currents to it; no normalisation stands between them."""

    def __init__(self, j: int, parameters: Parameters, config: ModelConfig) -> None:
        self.attn = SpikeDrivenSelfAttention(j, parameters, config)
        self.mlp = SpikingMLP(j, parameters)

    def __call__(self, u: StoredCurrent, run: Run) -> StoredCurrent:
        """[T, B, H, W, C] stream -> the same."""
        u = self.attn(u, run)
        return self.mlp(u, run)
