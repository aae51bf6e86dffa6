"""The sizes of the network."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    """The sizes that the tensors tell.

    Attributes
    ----------
    dim : channels C of the blocks; the patch embedding has C/8, C/4, C/2, C
    depth : number of blocks
    in_channels, num_classes : channels of the input, logits of the output
    hidden : channels between fc1 and fc2, int(dim * mlp_ratio)
    spike_mode : 'lif', or 'plif' with a learned time constant per neuron layer
    """

    dim: int
    depth: int
    in_channels: int
    num_classes: int
    hidden: int
    spike_mode: str

    @property
    def widths(self) -> tuple[int, int, int, int]:
        """Output channels of the four convolutions of the patch embedding."""
        return self.dim // 8, self.dim // 4, self.dim // 2, self.dim
