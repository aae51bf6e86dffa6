"""Operations and energies of one run, put together from the account that `cost` takes of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..cost.account import SYNAPSES, Account, rate
from ..cost.formula import estimates, flops, layers_of, n_tokens, vanilla
from ..cost.screen import KINDS
from ..cost.technology import Technology, energy
from ..network.model import SpikeDrivenTransformer


def operations(
    model: SpikeDrivenTransformer, account: Account, size: int, technology: Technology, steps: Sequence[int]
) -> dict[str, Any]:
    """Operations and energies, by layer as `python -m sdt_ref.energy` lists them, by kind, and in all."""
    counted, tokens = energy(account, technology), n_tokens(model.config, size, size)
    by_formula = estimates(account, flops(model.architecture, model.config, size, size), tokens, model.architecture.dim)

    def of(cells: Sequence[tuple[str, str]]) -> dict[str, Any]:
        numbers: dict[str, Any] = {}
        for field in ("ac", "mac", "comparisons", "shifts"):
            per_step = np.sum([account.get(*cell, field) for cell in cells], axis=0)
            numbers[field] = {"steps": per_step[list(steps)].tolist(), "all": int(per_step.sum())}
        spent = np.sum([counted[cell] for cell in cells], axis=0)
        return {**numbers, "picojoules": {"steps": spent[list(steps)].tolist(), "all": float(spent.sum())}}

    layers = []
    for words, stages in layers_of(account, by_formula).items():
        kind = SYNAPSES if (stages[0], SYNAPSES) in counted else "attention"
        layers.append({"name": words, "reads": _reads(account, stages[0], steps), **of([(s, kind) for s in stages])})
    kinds = []
    for kind, words in KINDS.items():
        cells = [cell for cell in counted if cell[1] == kind]
        if cells:
            kinds.append({"name": words, **of(cells)})
    without = vanilla(model.architecture, model.config, size, size)
    return {
        "technology": {
            "name": technology.name,
            "source": technology.source,
            "mac": technology.mac,
            "add": technology.add,
        },
        "layers": layers,
        "kinds": kinds,
        "sum": of(list(counted)),
        "formula": sum(estimate.energy(technology) for estimate in by_formula.values()),
        "without_spikes": {"macs": without.macs, "picojoules": without.macs * technology.mac},
    }


def _reads(account: Account, stage: str, steps: Sequence[int]) -> dict[str, Any] | None:
    """Firing rate of what a layer reads; None where that is analog, and of the attention, which has no weights."""
    events, neurons = (account.get(stage, SYNAPSES, field) for field in ("events", "neurons"))
    if not neurons.any():
        return None
    per_step = rate(events, neurons)[list(steps)]
    return {
        "steps": [None if np.isnan(each) else float(each) for each in per_step],
        "all": int(events.sum()) / int(neurons.sum()),
    }
