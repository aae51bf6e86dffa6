"""The layers and neurons of which the stages are made."""

from ..engine.neuron import Neuron
from ..engine.synapse import PanelledLayer, Synapse
from ..weights.folding import Parameters
from ..weights.names import counted_as
from .encoder import BitPlaneEncoder, Encoder, encoder


class Parts:
    """Makes the parts of the network from its parameters, each once, and lists the layers.

    Nothing keeps it, nor the parameters: the network holds its weights in the layers alone.

    Attributes
    ----------
    layers : weight layers by official path, such as 'block.0.attn.q_conv'
    """

    def __init__(self, parameters: Parameters) -> None:
        self.layers: dict[str, PanelledLayer] = {}
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
        return Neuron(module, self._parameters.neurons[module], heads)
