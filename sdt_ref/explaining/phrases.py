"""The phrases of the walk: shapes, firing rates and additions of a stage, as the engine counted them."""

import numpy as np

from ..fixed.quantise import FixedNeuron
from ..result import OperationCount
from ..terminal.words import many
from ..weights.wiring import HEAD, NEURON, Stage
from .characters import sparkline
from .observation import Observation

EACH = 8  # time steps whose rates are listed; of more, the least and the greatest


class Phrases:
    """Says what a run did.

    Parameters
    ----------
    run : what the engine did
    plain : whether sparklines use ASCII alone
    """

    def __init__(self, run: Observation, plain: bool = False) -> None:
        self.run = run
        self.plain = plain

    @property
    def steps(self) -> str:
        """How many time steps."""
        return many(self.run.time_steps, "time step")

    @property
    def frames(self) -> bool:
        """Whether it read frames of an event camera, not a picture."""
        return self.run.model.preprocessing.frames or len(self.run.image) > 1

    @property
    def source(self) -> str:
        """What it read: 'picture', or 'frames'."""
        return ("frame" if len(self.run.image) == 1 else "frames") if self.frames else "picture"

    @property
    def whole(self) -> bool:
        """Whether the run was in fixed point."""
        return isinstance(self.run.model.neurons["head_lif"], FixedNeuron)

    def shape(self, stage: Stage) -> str:
        """What leaves a stage."""
        height, width, channels = self.run.size(stage)
        if stage.kind == HEAD or (stage.kind == NEURON and stage.over_tokens):
            return f"{channels:,} channels"
        return f"{channels:,} channels of {height} x {width}"

    def neuron(self, stage: Stage) -> str:
        """What its neurons do."""
        return (
            f"A neuron's membrane moves {float(self.run.model.neurons[stage.name].leak):.3g} of the way to its "
            "input current at each step; at the threshold it spikes and is reset to 0."
        )

    def count(self, stage: Stage) -> OperationCount:
        """The operations of the layer of a stage that has one."""
        count = self.run.layer_count(stage)
        assert count is not None
        return count

    def reading(self, stage: Stage) -> str:
        """What a layer reads, and at which rate."""
        pooled = ", pooled: a spike where any of 3x3 pixels had one, at half the height and width" * stage.pooled
        source = stage.reads[0].rpartition(".")[2]
        return f"the spikes of {source}{pooled}; {self.count(stage).firing_rate:.3f} of the inputs spike"

    def adding(self, stage: Stage) -> str:
        """What a layer adds."""
        count = self.count(stage)
        return f"{many(total(count.ac), 'addition')} of a weight, for {many(total(count.events), 'event')}."

    def fired(self, stage: Stage) -> np.ndarray:
        """Firing rate at each step, of a stage that spikes; float64[T]."""
        fired = self.run.fired(stage)
        assert fired is not None
        return fired

    def rate(self, stage: Stage) -> str:
        """Firing rate over all steps, and a sparkline."""
        fired = self.fired(stage)
        return f"{fired.mean():.3f}" + f" {sparkline(fired, plain=self.plain)}" * (len(fired) > 1)

    def rates(self, stage: Stage) -> str:
        """Firing rate over all steps, and at each of them."""
        fired, T = self.fired(stage), self.run.time_steps
        each = " ".join(f"{rate:.3f}" for rate in fired) if T <= EACH else f"{fired.min():.3f} to {fired.max():.3f}"
        by_step = f"; step by step {each} {sparkline(fired, plain=self.plain)}" if T > 1 else ""
        return f"{fired.mean():.3f} of the neurons spike{by_step}."


def total(values: np.ndarray) -> int:
    """The sum over all time steps."""
    return int(values.sum())
