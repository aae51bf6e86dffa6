"""A short name and one plain sentence for each stage that spikes."""

STEM = {
    "proj_lif": (
        "conv 0",
        "The first convolution reads the pixels; no other layer reads anything but spikes. Each neuron looks at 3 x 3 "
        "pixels and fires when its membrane reaches the threshold. The photo stays the same; the membranes move on.",
    ),
    "proj_lif1": (
        "conv 1",
        "From here on a layer reads nothing but spikes: it adds a weight for each.",
    ),
    "proj_lif2": ("conv 2", "Wider windows on the photo, more channels; additions only."),
    "proj_lif3": (
        "conv 3",
        "The fourth convolution; a fifth reads its spikes. Its positions are the patches of all blocks.",
    ),
}
BLOCK = {
    "attn.shortcut_lif": (
        "input",
        "Fires where the residual stream, which carries real numbers past every layer, is high enough. Q, K and V are "
        "made from these spikes.",
    ),
    "attn.q_lif": ("Q", "Query: the spikes that will pass on, in the channels that the mask lets through."),
    "attn.k_lif": ("K", "Key: together with V it decides which channels are let through."),
    "attn.v_lif": ("V", "Value: together with K it decides which channels are let through."),
    "attn.kv": ("K AND V", "A spike where K and V both have one, in the same patch and channel. No product, an AND."),
    "attn.talking_heads_lif": (
        "mask",
        "One neuron per channel adds up K AND V over all patches.",
    ),
    "attn.masked": ("Q AND mask", "What the attention passes on: the spikes of Q in channels whose mask fired."),
    "mlp.fc1_lif": ("MLP in", "The residual stream after the attention, as spikes."),
    "mlp.fc2_lif": ("MLP hidden", "Between the two layers of the MLP, where the channels are most."),
}
A_SINGLE_ONE = " A single spike is enough: an OR over the photo."  # of a mask without a memory
HEAD = ("head", "One neuron per channel reads the mean over all patches; the classifier adds up its spikes.")


def group_of(module: str) -> str:
    """The part of the network that a stage is drawn in: 'patch embedding', 'block 0', 'head'."""
    if module.startswith("patch_embed."):
        return "patch embedding"
    return f"block {module.split('.')[1]}" if module.startswith("block.") else "head"


def name_and_sentence(module: str) -> tuple[str, str]:
    """A reader's name of a stage, without its group, and what happens there."""
    if module.startswith("patch_embed."):
        return STEM[module.removeprefix("patch_embed.")]
    return BLOCK[module.split(".", 2)[2]] if module.startswith("block.") else HEAD
