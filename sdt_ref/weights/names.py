"""Names of stages: the official hook, the name of a layer's counts, and what a reader calls it."""

SHORT = {
    "proj_lif": "conv 0",
    "proj_lif1": "conv 1",
    "proj_lif2": "conv 2",
    "proj_lif3": "conv 3",
    "attn.shortcut_lif": "input",
    "attn.q_lif": "Q",
    "attn.k_lif": "K",
    "attn.v_lif": "V",
    "attn.kv": "K AND V",
    "attn.talking_heads_lif": "mask",
    "attn.masked": "Q AND mask",
    "mlp.fc1_lif": "MLP input",
    "mlp.fc2_lif": "MLP hidden",
    "head_lif": "head",
}
HOOKS = {  # of the attention, where they are not the stage's own name
    "shortcut_lif": "first_lif",
    "kv": "kv_before",
    "talking_heads_lif": "kv",
    "masked": "x_after_qkv",
}


def split(module: str) -> tuple[str, str]:
    """A path in two: 'block.0.attn.q_lif' -> ('block.0', 'attn.q_lif'); ('', name) outside of blocks and embedding."""
    if module.startswith("block."):
        block, j, name = module.split(".", 2)
        return f"{block}.{j}", name
    path, _, name = module.rpartition(".")
    return path, name


def hook(stage: str) -> str:
    """The official hook that records the spikes of a stage: 'block.0.attn.q_lif' -> 'MS_SSA_Conv0_q_lif'."""
    path, name = split(stage)
    if path == "patch_embed":
        return f"MS_SPS_{name.removeprefix('proj_')}"
    part, _, name = name.rpartition(".")
    return f"{_official(path, part)}_{HOOKS.get(name, name)}" if path else stage


def stage_of(hook_name: str) -> str:
    """The stage whose spikes an official hook records: 'MS_SSA_Conv0_q_lif' -> 'block.0.attn.q_lif'."""
    module, _, rest = hook_name.partition("_Conv")
    if not rest:
        return f"patch_embed.{hook_name.replace('MS_SPS_', 'proj_')}" if module.startswith("MS_SPS") else hook_name
    j, _, name = rest.partition("_")
    if module == "MS_SSA":
        name = {official: own for own, official in HOOKS.items()}.get(name, name)
    return f"block.{j}.{'attn' if module == 'MS_SSA' else 'mlp'}.{name}"


def counted_as(layer: str) -> str:
    """Name of a weight layer in `Result.counts`: 'block.0.attn.q_conv' -> 'MS_SSA_Conv0_q_conv'."""
    path, name = split(layer)
    if path == "patch_embed":
        return f"MS_SPS_{name}"
    part, _, name = name.rpartition(".")
    return f"{_official(path, part)}_{name}" if path else layer


def group(module: str) -> str:
    """The part of the network that a stage or layer belongs to: 'patch embedding', 'block 0', 'head'."""
    path, _ = split(module)
    return {"": "head", "patch_embed": "patch embedding"}.get(path, path.replace(".", " "))


def short(stage: str) -> str:
    """A reader's name of a stage that spikes, within its group: 'Q', 'mask', 'MLP hidden'."""
    return SHORT[split(stage)[1]]


def layer_in_words(layer: str) -> str:
    """A reader's name of a weight layer: 'block 0: attention q, k, v' serves for three."""
    path, name = split(layer)
    if not path:
        return "classifier"
    if path == "patch_embed":
        return f"patch embedding: {name.replace('_', ' ')}"
    part, _, name = name.removesuffix("_conv").rpartition(".")
    words = {"attn": f"attention {'q, k, v' if name in 'qkv' else name}", "mlp": f"MLP {name}"}
    return f"{group(layer)}: {words[part]}"


def _official(block: str, part: str) -> str:
    return f"{'MS_SSA' if part == 'attn' else 'MS_MLP'}_Conv{block.removeprefix('block.')}"
