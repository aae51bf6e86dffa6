"""One plain sentence for each stage that spikes; their names are in `weights/names.py`."""

from ..weights.names import split

SENTENCES = {
    "proj_lif": "The first convolution reads the pixels; no other layer reads anything but spikes. Each neuron looks "
    "at 3 x 3 pixels and fires when its membrane reaches the threshold. "
    "The photo stays the same; the membranes move on.",
    "proj_lif1": "From here on a layer reads nothing but spikes: it adds a weight for each.",
    "proj_lif2": "Wider windows on the photo, more channels; additions only.",
    "proj_lif3": "The fourth convolution; a fifth reads its spikes. Its positions are the patches of all blocks.",
    "attn.shortcut_lif": "Fires where the residual stream, which carries real numbers past every layer, is high "
    "enough. Q, K and V are made from these spikes.",
    "attn.q_lif": "Query: the spikes that will pass on, in the channels that the mask lets through.",
    "attn.k_lif": "Key: together with V it decides which channels are let through.",
    "attn.v_lif": "Value: together with K it decides which channels are let through.",
    "attn.kv": "A spike where K and V both have one, in the same patch and channel. No product, an AND.",
    "attn.talking_heads_lif": "One neuron per channel adds up K AND V over all patches.",
    "attn.masked": "What the attention passes on: the spikes of Q in channels whose mask fired.",
    "mlp.fc1_lif": "The residual stream after the attention, as spikes.",
    "mlp.fc2_lif": "Between the two layers of the MLP, where the channels are most.",
    "head_lif": "One neuron per channel reads the mean over all patches; the classifier adds up its spikes.",
}
A_SINGLE_ONE = " A single spike is enough: an OR over the photo."  # of a mask without a memory


def sentence(stage: str) -> str:
    """What happens in a stage."""
    return SENTENCES[split(stage)[1]]
