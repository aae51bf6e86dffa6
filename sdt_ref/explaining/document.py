"""The walk and the lens as JSON: numbers alone, in full."""

import math
from typing import Any

import numpy as np

from ..weights.wiring import NEURON
from .additions import Addition, Sum
from .lens import Lens
from .observation import Observation


def of_walk(run: Observation) -> dict[str, Any]:
    """Every stage of a run: shape, spikes, rates and operations at each time step; and the logits."""
    result = run.result
    return {
        **_about(run),
        "stages": [_stage(run, name) for name in run.stages],
        "logits_per_step": result.logits_per_step[:, 0].tolist(),
        "logits": result.logits[0].tolist(),
        "predictions": [{"label": label, "score": score} for label, score in run.model.rank(result.logits[0])],
    }


def of_lens(run: Observation, lens: Lens) -> dict[str, Any]:
    """One element of a stage: all additions of all time steps, the membrane, the spikes."""
    own, (height, width, channels) = lens.membrane, lens.size
    row, column = divmod(lens.token, width)
    return {
        **_about(run),
        "stage": lens.stage.name,
        "kind": lens.stage.kind,
        "shape": {"height": height, "width": width, "channels": channels},
        "token": lens.token,
        "row": row,
        "column": column,
        "channel": lens.channel,
        "chosen": lens.chosen,
        "membrane": None
        if own is None
        else {
            "current": own.x.tolist(),
            "before_reset": own.h.tolist(),
            "after_reset": own.v.tolist(),
            "spikes": own.spikes.tolist(),
            "threshold": _plain(own.threshold),
            "decay": _plain(own.leak),
            "unit": own.unit,
        },
        "spikes": {name: spikes.tolist() for name, spikes in lens.spikes.items()},
        "pixels": None if lens.pixels is None else lens.pixels.tolist(),
        "steps": [_sum(each) for each in lens.sums],
    }


def _about(run: Observation) -> dict[str, Any]:
    return {"arithmetic": run.model.arithmetic.name, "time_steps": run.time_steps}


def _stage(run: Observation, name: str) -> dict[str, Any]:
    stage = run.stages[name]
    height, width, channels = run.size(stage)
    fired, count = run.fired(stage), run.layer_count(stage)
    facts: dict[str, Any] = {
        "name": name,
        "kind": stage.kind,
        "reads": list(stage.reads),
        "layer": stage.layer,
        "residual": stage.residual,
        "height": height,
        "width": width,
        "channels": channels,
    }
    if fired is not None:
        facts["firing_rate"] = fired.tolist()
    if stage.kind == NEURON:
        facts["spikes"] = run.other_count("threshold", name).events.tolist()
    if count is not None:
        facts["events_read"] = count.events.tolist()
        facts["read_rate"] = None if math.isnan(count.firing_rate) else count.firing_rate  # JSON has no NaN
        facts["additions"] = count.ac.tolist()
        facts["multiplications"] = count.mac.tolist()
    return facts


def _sum(each: Sum) -> dict[str, Any]:
    return {
        "additions": [_addition(one) for one in each.additions],
        "conversions": [{"words": one.words, "value": _plain(one.value)} for one in each.conversions],
        "value": _plain(each.value),
        "recorded": _plain(each.recorded),
    }


def _addition(one: Addition) -> dict[str, Any]:
    return {name: _plain(value) for name, value in vars(one).items() if value is not None}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
