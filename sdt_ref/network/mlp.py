"""Spiking MLP: two linear layers behind neurons, and a membrane shortcut (official module MS_MLP_Conv)."""

from ..engine.current import Current
from ..engine.run import Run
from ..engine.stored import StoredCurrent
from ..engine.storing import store
from .parts import Parts


class SpikingMLP:
    """fc2(spike(fc1(spike(u)))) + u."""

    def __init__(self, j: int, parts: Parts) -> None:
        module, self.hook = f"block.{j}.mlp", f"MS_MLP_Conv{j}"
        self.fc1_lif = parts.neuron(f"{module}.fc1_lif")
        self.fc1_conv = parts.synapse(f"{module}.fc1_conv")
        self.fc2_lif = parts.neuron(f"{module}.fc2_lif")
        self.fc2_conv = parts.synapse(f"{module}.fc2_conv")

    def __call__(self, u: StoredCurrent, run: Run) -> StoredCurrent:
        """[T, B, H, W, C] stream -> the same."""
        s = run.record(f"{self.hook}_fc1_lif", self.fc1_lif(u, run))  # [T, B, C, H, W] spikes
        y: Current = self.fc1_conv(s)  # [T, B, H, W, hidden] current
        if y.n_channels == u.n_channels:  # mlp_ratio 1 has a shortcut of its own, which also replaces the outer one
            y = u = store(y, run, residual=u)
        s = run.record(f"{self.hook}_fc2_lif", self.fc2_lif(y, run))  # [T, B, hidden, H, W]
        return store(self.fc2_conv(s), run, residual=u)
