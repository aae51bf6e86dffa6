"""What a chunk of pictures cost: whole numbers, and a few numbers of each picture whose spread is shown."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from ..fixed.formats import Formats
from ..inputs.reading import UNREADABLE, read, require_alike
from ..inputs.selection import Item
from ..jobs.job import Compute, Part
from ..network.model import SpikeDrivenTransformer
from ..weights.file import Weights
from .account import SYNAPSES, Account, Accountant, Cell
from .formula import estimates, flops, layers_of, n_tokens
from .official import events_per_step
from .technology import Technology, energy


class Stocktaker:
    """Runs a network on pictures, and counts what they cost.

    Parameters
    ----------
    model : in any arithmetic
    size : height and width of the pictures
    technology : of the energies that spread
    official : whether the spikes that the official statistic needs are counted, too
    """

    def __init__(
        self, model: SpikeDrivenTransformer, size: int, technology: Technology, official: bool = False
    ) -> None:
        self._model, self._accountant = model, Accountant(model)
        self._technology, self._official = technology, official
        self._formula = partial(
            estimates,
            sizes=flops(model.architecture, model.config, size, size),
            tokens=n_tokens(model.config, size, size),
            dim=model.architecture.dim,
        )

    def count(self, inputs: Iterable[np.ndarray]) -> Part:
        """Run the network on inputs, one by one, and add up.

        A part has the arrays cells int64[cells, len(FIELDS), T] and exits int64[stages, 3, T], sums over n pictures,
        see `account.Account`; numbers float64[n, names], see `_spreading`; and with `official` hooked int64[n, hooks,
        T], spikes. Its notes name all of them: cells as [stage, kind], bits as [stage, kind, bits], hooks as [hook,
        neurons].

        Raises InputError for an input that the network, or the official statistic, cannot take.
        """
        cells: dict[Cell, np.ndarray] = {}
        exits: dict[str, np.ndarray] = {}
        bits: Mapping[Cell, int] = {}
        hooks: list[tuple[str, int]] = []
        names: list[str] = []
        numbers, hooked = [], []
        for x in inputs:
            result = self._model(x[None], record=True)
            if self._official:
                hooked.append([events_per_step(spikes) for spikes in result.spikes.values()])
                hooks = [(hook, int(np.prod(spikes.shape[1:]))) for hook, spikes in result.spikes.items()]
            account = self._accountant.of(x[None], result)
            for cell, values in account.cells.items():
                cells[cell] = cells.get(cell, 0) + values
            for stage, each in account.early_exit.items():
                exits[stage] = exits.get(stage, 0) + np.stack([each.comparisons, each.saved, each.additions])
            spreading = dict(self._spreading(account))
            names, bits = list(spreading), account.bits
            numbers.append([*spreading.values()])
        notes = {
            "cells": [*cells],
            "exits": [*exits],
            "names": names,
            "bits": [(*cell, n) for cell, n in bits.items()],
            "hooks": hooks,
        }
        arrays = {"cells": [*cells.values()], "exits": [*exits.values()], "numbers": numbers, "hooked": hooked}
        return Part({name: np.array(values) for name, values in arrays.items()}, notes)

    def _spreading(self, account: Account) -> Iterator[tuple[str, float]]:
        """Energies of one picture in pJ whose spread is shown: counted, of each layer and of all; by the formula."""
        counted, by_formula = energy(account, self._technology), self._formula(account)
        for words, stages in layers_of(account, by_formula).items():
            kind = SYNAPSES if (stages[0], SYNAPSES) in counted else "attention"
            yield words, float(sum(counted[stage, kind].sum() for stage in stages))
        yield "formula", sum(estimate.energy(self._technology) for estimate in by_formula.values())
        yield "synapses", float(sum(pj.sum() for (_, kind), pj in counted.items() if kind == SYNAPSES))
        yield "counted", float(sum(pj.sum() for pj in counted.values()))


@dataclass(frozen=True)
class TakeStock:
    """The task of counting what samples cost, one by one; those that cannot be read are listed.

    Attributes
    ----------
    technology : of the energies that spread
    arithmetic, formats : see `network.model`
    size : as in Preprocessing.at
    strict_steps, as_official : see `inputs.reading.read`
    steps : see `inputs.reading.require_alike`
    official : see `Stocktaker`
    """

    technology: Technology
    arithmetic: str = "float32"
    formats: Formats | None = None
    size: int | None = None
    strict_steps: bool = False
    as_official: bool = True
    steps: int | None = None
    official: bool = False

    def settings(self) -> Mapping[str, Any]:
        """All that changes numbers; a technology is what it costs, not its name."""
        values = {name: value for name, value in vars(self.technology).items() if name not in ("name", "source")}
        return {"task": "energy", **asdict(self), "technology": values}

    def prepare(self, weights: Weights, threads: int | None) -> Compute:
        """Build the network.

        A part is as `Stocktaker.count` says; its notes also have unreadable as [name, reason], and repairs.
        """
        model = SpikeDrivenTransformer(weights, self.arithmetic, threads, self.formats)
        size = model.preprocessing.at(self.size).size
        return partial(self._part, model, Stocktaker(model, size, self.technology, self.official))

    def _part(self, model: SpikeDrivenTransformer, stocktaker: Stocktaker, items: Iterable[Item]) -> Part:
        unreadable: list[tuple[str, str]] = []
        repairs: Counter[str] = Counter()

        def readable() -> Iterator[np.ndarray]:
            for item in items:
                try:
                    x = read(
                        item.source,
                        model.preprocessing.at(self.size),
                        model.config.time_steps,
                        strict_steps=self.strict_steps,
                        as_official=self.as_official,
                        repairs=repairs,
                    )
                    require_alike(item.name, x, self.steps)
                except UNREADABLE as error:
                    unreadable.append((item.name, str(error)))
                else:
                    yield x

        part = stocktaker.count(readable())
        return Part(part.arrays, {**part.notes, "unreadable": unreadable, "repairs": repairs})
