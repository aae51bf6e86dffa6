"""Spiking MLP: two linear layers behind neurons, and a membrane shortcut (official module MS_MLP_Conv)."""

from ..engine.current import Current, StoredCurrent
from ..engine.neuron import Neuron
from ..engine.run import Run
from ..engine.synapse import synapse_maker
from ..weights.folding import Parameters


class SpikingMLP:
    """fc2(spike(fc1(spike(u)))) + u."""

    def __init__(self, j: int, parameters: Parameters) -> None:
        module, self.hook = f"block.{j}.mlp", f"MS_MLP_Conv{j}"
        synapse = synapse_maker(self.hook, module, parameters.layers)
        self.fc1_conv, self.fc2_conv = synapse("fc1_conv"), synapse("fc2_conv")
        self.fc1_lif, self.fc2_lif = (
            Neuron(f"{module}.{name}", parameters.neurons[f"{module}.{name}"]) for name in ("fc1_lif", "fc2_lif")
        )

    def __call__(self, u: StoredCurrent, run: Run) -> StoredCurrent:
        """[T, B, H, W, C] stream -> the same."""
        s = run.record(f"{self.hook}_fc1_lif", self.fc1_lif(u, run))  # [T, B, C, H, W] spikes
        y: Current = self.fc1_conv(s)  # [T, B, H, W, hidden] current
        if y.n_channels == u.n_channels:  # mlp_ratio 1 has a shortcut of its own, which also replaces the outer one
            y = u = StoredCurrent.of(y, run, residual=u)
        s = run.record(f"{self.hook}_fc2_lif", self.fc2_lif(y, run))  # [T, B, hidden, H, W]
        return StoredCurrent.of(self.fc2_conv(s), run, residual=u)
