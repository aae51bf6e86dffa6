"""The layers and neurons of which the stages are made, kept by their official paths."""

from ..engine.neuron import Neuron
from ..engine.synapse import PanelledLayer, Synapse
from ..weights.folding import Parameters
from ..weights.names import counted_as
from .encoder import BitPlaneEncoder, Encoder, encoder


class Parts:
    """Makes the parts of the network from its parameters, each once, and lists them.

    It is let go with the parameters: the network keeps its weights in the layers alone.

    Attributes
    ----------
    layers : weight layers by official path, such as 'block.0.attn.q_conv'
    neurons : neuron layers by official path, such as 'block.0.attn.q_lif'
    """

    def __init__(self, parameters: Parameters) -> None:
        self.layers: dict[str, PanelledLayer] = {}
        self.neurons: dict[str, Neuron] = {}
        self._parameters = parameters

    def encoder(self, module: str) -> Encoder | BitPlaneEncoder:
        """The convolution that reads the input."""
        made = self.layers[module] = encoder(counted_as(module), module, self._parameters)
        return made

    def synapse(self, module: str) -> Synapse:
        """A weight layer that reads spikes."""
        made = self.layers[module] = Synapse(counted_as(module), self._parameters.layers[module], module)
        return made

    def neuron(self, module: str, heads: int | None = None) -> Neuron:
        """A layer of neurons; heads : see Neuron."""
        made = self.neurons[module] = Neuron(module, self._parameters.neurons[module], heads)
        return made
