"""What many pictures cost, put together: what the screen, the JSON, the CSV and the figure show."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..network.model import SpikeDrivenTransformer
from ..weights.file import Weights
from ..weights.wiring import wiring
from .account import FIELDS, SYNAPSES, Account, rate
from .average import Average
from .chunk import Stocktaker
from .formula import Estimate, Vanilla, estimates, flops, layers_of, n_tokens, vanilla
from .official import OfficialStatistic
from .technology import Technology, energy, memory_traffic


@dataclass(frozen=True)
class Summary:
    """What is shown.

    Attributes
    ----------
    arithmetic, size : in which it was computed, and at technology many pixels squared
    average, account : all pictures, and their mean account
    estimates : the paper's, by stage
    vanilla : the network without spikes
    technology : that energies are meant in
    statistic, official : the official statistic, and the estimates by its rates; None where it was not asked for
    """

    arithmetic: str
    size: int
    average: Average
    account: Account
    estimates: Mapping[str, Estimate]
    vanilla: Vanilla
    technology: Technology
    statistic: OfficialStatistic | None = None
    official: Mapping[str, Estimate] | None = None

    def deviation(self, name: str) -> float:
        """Standard deviation over the pictures of the counted energy of a layer, by its reader's name; pJ."""
        return self.average.spreads[name].deviation

    def layers(self) -> dict[str, list[str]]:
        """See `layers_of`."""
        return layers_of(self.account, self.estimates)

    def rates(self, stage: str) -> tuple[float, float] | None:
        """Firing rates of what a layer reads, over all steps: as its neurons fire, behind the pool; None if analog."""
        source = self.account.stages[stage].reads[0] if self.account.stages[stage].layer else ""
        read = _over_steps(self.account, stage, SYNAPSES)
        if not source or read is None:
            return None
        fires = _over_steps(self.account, source, "threshold")  # none of Q AND mask
        return (read if fires is None else fires), read


def _over_steps(account: Account, stage: str, kind: str) -> float | None:
    events, neurons = (float(account.get(stage, kind, name).sum()) for name in ("events", "neurons"))
    return events / neurons if neurons else None


def take_stock(
    model: SpikeDrivenTransformer,
    inputs: Iterable[np.ndarray],
    size: int,
    technology: Technology,
    statistic: OfficialStatistic | None = None,
) -> Summary | None:
    """Run a network on pictures one by one, and sum up; None where there are none.

    Parameters
    ----------
    inputs : each [C, H, W], normalised; H = W = size
    statistic : the official one, which takes every picture

    Raises InputError where there are pictures, but not as many, or not of as many time steps, as the statistic needs.
    """
    stocktaker = Stocktaker(model, size, technology, statistic is not None)
    average = Average(wiring(model.architecture, model.config))
    for x in inputs:
        part = stocktaker.count([x])
        average.add(part)
        if statistic is not None:
            statistic.add(part)
    return sum_up(average, model, model.arithmetic.name, size, technology, statistic)


def sum_up(
    average: Average,
    network: SpikeDrivenTransformer | Weights,
    arithmetic: str,
    size: int,
    technology: Technology,
    statistic: OfficialStatistic | None = None,
) -> Summary | None:
    """What pictures cost that were counted; None where there are none.

    Raises InputError where there are pictures, but not as many as the statistic needs.
    """
    if not average.pictures:
        return None
    architecture, config, mean = network.architecture, network.config, average.account
    by_formula = partial(
        estimates,
        mean,
        sizes=flops(architecture, config, size, size),
        tokens=n_tokens(config, size, size),
        dim=architecture.dim,
    )
    official = None if statistic is None else by_formula(rates=statistic.rates())
    without = vanilla(architecture, config, size, size)
    return Summary(arithmetic, size, average, mean, by_formula(), without, technology, statistic, official)


def to_csv(summary: Summary) -> str:
    """A row for each stage, kind and time step: means over the pictures."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["stage", "kind", "time_step", *FIELDS, "firing_rate", "picojoules"])
    counted = energy(summary.account, summary.technology)
    for (stage, kind), cell in summary.account.cells.items():
        rates = rate(cell[FIELDS.index("events")], cell[FIELDS.index("neurons")])
        for t in range(summary.account.time_steps):
            shown = "" if np.isnan(rates[t]) else f"{rates[t]:.9g}"
            values = [f"{value:.15g}" for value in cell[:, t]]
            writer.writerow([stage, kind, t, *values, shown, f"{counted[stage, kind][t]:.15g}"])
    return text.getvalue()


def to_json(summary: Summary, memory: bool) -> dict[str, Any]:
    """Everything, as JSON takes it: means over the pictures by stage, kind and time step."""
    account, counted = summary.account, energy(summary.account, summary.technology)
    stages: dict[str, Any] = {}
    for (stage, kind), cell in account.cells.items():
        fields = {name: row.tolist() for name, row in zip(FIELDS, cell, strict=True) if row.any()}
        stages.setdefault(stage, {})[kind] = {**fields, "picojoules": counted[stage, kind].tolist()}
    for stage, estimate in summary.estimates.items():
        stages.setdefault(stage, {})["formula"] = {
            "macs": estimate.macs, "acs": estimate.acs, "pooling": estimate.pooling, "borders": estimate.borders,
            "picojoules": estimate.energy(summary.technology),
        }  # fmt: skip
    numbers = {name: {"mean": s.mean, "deviation": s.deviation} for name, s in summary.average.spreads.items()}
    moved = {
        name: {"numbers": numbers, "bits": bits, "picojoules": bits / 32 * summary.technology.word}
        for name, (numbers, bits) in memory_traffic(account).items()
    }
    return {
        "pictures": summary.average.pictures,
        "size": summary.size,
        "arithmetic": summary.arithmetic,
        "time_steps": account.time_steps,
        "technology": vars(summary.technology),
        "picojoules": {name: numbers[name] for name in ("formula", "synapses", "counted")},
        "synaptic_operations": {n: account.total(n) for n in ("dense", "effective_macs", "effective_acs")},
        "vanilla": {
            **vars(summary.vanilla),
            "macs": summary.vanilla.macs,
            "picojoules": summary.vanilla.macs * summary.technology.mac,
        },
        "early_exit": {s: {n: v.tolist() for n, v in vars(e).items()} for s, e in account.early_exit.items()},
        **({"memory": moved} if memory else {}),
        "stages": stages,
    }
