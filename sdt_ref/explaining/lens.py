"""One element of one stage, at all time steps: where its numbers came from, and what its membrane did."""

from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError, shown
from ..weights.config import is_int
from ..weights.wiring import HEAD, INPUT, NEURON, SPIKES, STREAM, Stage
from .additions import Adder, Sum
from .membrane import Membrane, membrane
from .observation import Observation


@dataclass(frozen=True, eq=False)
class Lens:
    """One element of one stage.

    Attributes
    ----------
    stage : which
    token, channel : of what leaves it
    size : height and width in tokens, and channels
    chosen : how it was chosen, in words; '' where the caller named it
    sums : of a neuron's input current, a stream's element or a logit, at each time step; empty for a picture or an AND
    membrane : of a neuron; None for all else
    spikes : bool[T], by what they are of: of an AND its two inputs and its output; of a neuron behind which spikes are
        pooled before the hook ('block.0.attn.k_lif' in dvs mode), the pooled ones
    pixels : of the picture, its number at each time step, or once
    """

    stage: Stage
    token: int
    channel: int
    size: tuple[int, int, int]
    chosen: str
    sums: tuple[Sum, ...]
    membrane: Membrane | None
    spikes: dict[str, np.ndarray]
    pixels: np.ndarray | None


def look_into(run: Observation, name: str, token: int | None = None, channel: int | None = None) -> Lens:
    """Take one element of a stage apart.

    Parameters
    ----------
    run : what the engine did
    name : of the stage, see `wiring`; or of its layer, or its official hook
    token : row-major number; None chooses one
    channel : of the stage, or class of the head; None chooses one

    Raises
    ------
    ConfigError
        an unknown stage, or a token or channel that it does not have
    """
    stage = run.stage(name)
    height, width, channels = size = run.size(stage)
    for option, value, end in (("token", token, height * width), ("channel", channel, channels)):
        if value is None or (is_int(value) and 0 <= value < end):
            continue
        if option == "token" and (stage.over_tokens or stage.kind == HEAD):
            raise ConfigError(
                f"--token: expected none, as stage '{stage.name}' has no tokens, found {shown(value)}; leave it out"
            )
        raise ConfigError(
            f"--{option}: expected 0 to {end - 1} in stage '{stage.name}', found {shown(value)}; choose one of them"
        )
    token, channel, chosen = _choose(run, stage, size, token, channel)
    sums: tuple[Sum, ...] = ()
    if stage.kind in (NEURON, STREAM, HEAD):
        adder = Adder(run)
        sums = tuple(adder.sum_of(stage, t, token, channel) for t in range(run.time_steps))
    spikes: dict[str, np.ndarray] = {}
    if stage.kind == SPIKES:
        for source in (*(run.stages[name] for name in stage.reads), stage):
            rows = run.spike_rows(source)
            spikes[source.name] = rows[:, token if rows.shape[1] > 1 else 0, channel] != 0
    own = _membrane(run, stage, token, channel) if stage.kind == NEURON else None
    if own is not None and _pooled_hook(run, stage):
        spikes[f"{stage.name}, pooled"] = run.spike_rows(stage)[:, token, channel] != 0
    pixels = run.image[(slice(None), channel, *divmod(token, width))] if stage.kind == INPUT else None
    return Lens(stage, token, channel, size, chosen, sums, own, spikes, pixels)


def _pooled_hook(run: Observation, stage: Stage) -> bool:
    """Whether the official hook shows the spikes behind a pool."""
    return run.model.config.dvs_mode and stage.name.endswith((".k_lif", ".v_lif"))


def _membrane(run: Observation, stage: Stage, token: int, channel: int) -> Membrane:
    tokens, mean = 1, False
    if stage.over_tokens:
        source = run.stages[stage.reads[0]]
        height, width, _ = run.size(source)
        tokens, mean = height * width, source.kind == STREAM
    return membrane(run.model.neurons[stage.name], run.currents(stage)[:, token, channel], tokens, mean)


def _choose(
    run: Observation, stage: Stage, size: tuple[int, int, int], token: int | None, channel: int | None
) -> tuple[int, int, str]:
    """Fill in what was not named: the best of what is left, of equals the one nearest to the middle of the picture."""
    height, width, channels = size
    if token is not None and channel is not None:
        return token, channel, ""
    words, worth = _worth(run, stage)
    tokens = [token] if token is not None else _from_the_middle(height, width)
    columns = [channel] if channel is not None else list(range(channels))
    part = worth[np.ix_(tokens, columns)]
    n, c = np.unravel_index(int(part.argmax()), part.shape)
    return tokens[n], columns[c], words


def _worth(run: Observation, stage: Stage) -> tuple[str, np.ndarray]:
    """How much each element is worth a look, [tokens, channels], and why."""
    if stage.kind == INPUT:
        height, width, channels = run.size(stage)
        return "in the middle", np.zeros((height * width, channels))
    if stage.kind == HEAD:
        return "the class with the highest mean", run.result.logits
    if stage.kind == STREAM:
        return "the greatest at any step", run.stream(stage.name).max(axis=0)
    count = run.spike_rows(stage).sum(axis=0, dtype=np.int64)  # spikes of each
    if stage.kind == SPIKES or count.max() < 1:
        return "the most spikes" if count.max() > 0 else "none spikes", count
    restless = np.where(count < run.time_steps, count, 0)
    if restless.max() > 0:
        return "the most spikes among those that are also silent at some step", restless
    return "the most spikes", count


def _from_the_middle(height: int, width: int) -> list[int]:
    def distance(token: int) -> tuple[float, int]:
        row, column = divmod(token, width)
        return (row - (height - 1) / 2) ** 2 + (column - (width - 1) / 2) ** 2, token

    return sorted(range(height * width), key=distance)
