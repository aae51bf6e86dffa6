"""Write a trace: run a network, and take down every register, current and membrane as it comes about."""

import dataclasses
import fnmatch
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ConfigError, InputError, TraceError, shown
from ..files import written_whole
from ..fixed.quantise import FixedParameters
from ..hdf5 import created
from ..network.model import SpikeDrivenTransformer
from ..result import OperationCount, Result
from ..weights.arithmetic import FIXED
from ..weights.folding import Parameters
from ..weights.names import counted_as
from ..weights.wiring import Stage, wiring
from .hashing import digest
from .header import CHARGE, CONVENTION, Header
from .recorders import NumberRecorder, Recorder, RegisterRecorder
from .trace_file import FORMAT, SCHEMA_VERSION

LONGEST_PATTERN = 200  # characters; matching takes time with their square


def write_trace(
    path: str | os.PathLike[str],
    model: SpikeDrivenTransformer,
    x: Any,
    stages: Sequence[str] = ("*",),
    steps: Sequence[int] | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Result:
    """Run a network, and stream what its registers, or its currents and membranes, hold to a file.

    Parameters
    ----------
    path : written whole: it appears when it is complete, and a run that is killed leaves no trace of this name
    x : one sample, as the model takes it
    stages : patterns such as 'block.0.*'
    steps : time steps to record; None records all
    progress : called with the name of each stage as it is written

    Raises
    ------
    ConfigError
        no stage matches a pattern, or no such step
    InputError
        x holds more than one sample
    TraceError
        the file cannot be written
    """
    if len(np.shape(x)) > 0 and np.shape(x)[0] != 1:
        raise InputError(f"trace: expected one sample, found {np.shape(x)[0]}")
    wired = wiring(model.architecture, model.config)
    wanted = _matching(wired, stages)
    n_steps = model.config.time_steps if np.ndim(x) == 4 else np.shape(x)[1]
    chosen = _steps_of_run(steps, n_steps)
    with written_whole(path, TraceError) as part, created(part, track_order=True) as file:
        file.attrs["format"], file.attrs["schema_version"] = np.bytes_(FORMAT.encode()), SCHEMA_VERSION
        parameters = model.read_back()
        recorder = _recorder(parameters, file, wired, wanted, chosen, progress)
        numbers = recorder.write_input(np.asarray(x, model.arithmetic.dtype), n_steps)
        result = model(x, record=recorder)
        recorder.write_head(result)
        operations = {module: _operations(result.counts[counted_as(module)]) for module in parameters.layers}
        fixed = model.arithmetic is FIXED
        header = Header(
            dataclasses.asdict(model.architecture),
            dataclasses.asdict(model.config),
            model.formats.to_toml() if fixed else "",
            digest(parameters),
            hashlib.sha256(numbers).hexdigest(),
            n_steps,
            chosen,
            {"charge": CHARGE[fixed], **CONVENTION, "stages": recorder.neurons()},
            {register: per_step.tolist() for register, per_step in result.overflows.items()},
            operations,
            model.arithmetic.name,
        )
        text = json.dumps(dataclasses.asdict(header))
        file.create_dataset("header", data=np.bytes_(text.encode()))
        file.flush()
        file.attrs["sha256"] = np.bytes_(recorder.hashed(text).encode())
    return result


def _matching(wired: Mapping[str, Stage], patterns: Sequence[str]) -> set[str]:
    """Names of the stages that patterns match; ConfigError for a pattern that matches none."""
    wanted: set[str] = set()
    for pattern in patterns:
        if len(pattern) > LONGEST_PATTERN:
            raise ConfigError(f"trace: expected stages of at most {LONGEST_PATTERN} characters, found {shown(pattern)}")
        names = fnmatch.filter(wired, pattern)
        if not names:
            raise ConfigError(
                f"trace: no stage matches '{pattern}'; stages are {', '.join(list(wired)[:4])}, ..., {[*wired][-1]}"
            )
        wanted.update(names)
    return wanted


def _steps_of_run(steps: Sequence[int] | None, n_steps: int) -> list[int]:
    """Time steps to record, in order, each once; None stands for all. ConfigError for one that the run lacks."""
    chosen = list(range(n_steps)) if steps is None else sorted(set(steps))
    unknown = [step for step in chosen if not 0 <= step < n_steps]
    if not chosen or unknown:
        raise ConfigError(f"trace: expected steps from 0 to {n_steps - 1}, found {unknown[0] if unknown else 'none'}")
    return chosen


def _recorder(parameters: Parameters, *others: Any) -> Recorder[Any]:
    if isinstance(parameters, FixedParameters):
        return RegisterRecorder(parameters, *others)
    return NumberRecorder(parameters, *others)


def _operations(count: OperationCount) -> dict[str, list[int]]:
    return {kind: getattr(count, kind).tolist() for kind in ("ac", "mac", "events", "neurons")}
