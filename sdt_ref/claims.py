"""Command line: the four claims that the Spike-driven Transformer makes; the work is in `evidence/`."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from .evidence import addition_only, event_driven, linear, mask_and_add
from .evidence.screen import show
from .inputs.reading import given_or_sample, read
from .network.model import SpikeDrivenTransformer
from .terminal import cli
from .terminal.progress import kernels_loading, working
from .terminal.screen import Screen
from .terminal.words import many
from .weights.config import Preprocessing

SEED = 0  # of the frames that stand in for a photo


@cli.guarded
def main(argv: Sequence[str] | None = None) -> int:
    """Check all claims; exit code 0 if all of them hold, 1 if one fails, 2 for bad input."""
    options = command_line().parse_args(argv)
    model = cli.load_model(options)
    name, x = _sample(model.preprocessing.at(options.size), model)
    screen = Screen(stderr=True)
    with kernels_loading(screen, model.arithmetic.name):
        result = model(x, record=True)
    with working(screen, "checking") as told:
        expected = addition_only.expected_counts(model, x, result)
        evidence = {
            "event_driven": event_driven.event_driven(model, x, told),
            "addition_only": addition_only.addition_only(result, progress=told, expected=expected),
            "linear": linear.linear_complexity(progress=told),
            "masking": mask_and_add.masks_and_adds(model, progress=told, result=result),
        }
    with cli.showing():
        if options.json:
            about = {"input": name, "arithmetic": model.arithmetic.name, "time_steps": len(result.logits_per_step)}
            cli.print_json({**about, "holds": _all_hold(evidence), **{key: _as_json(e) for key, e in evidence.items()}})
        else:
            steps = many(len(result.logits_per_step), "time step")
            show(Screen(), f"{name}, {model.arithmetic.name}, {steps}", evidence)
    return 0 if _all_hold(evidence) else cli.CHECK_FAILED


def command_line() -> cli.Parser:
    """The options."""
    parser = cli.parser("claims", "python -m sdt_ref.claims --arithmetic fixed")
    cli.add_model_options(parser)
    return parser


def _sample(how: Preprocessing, model: SpikeDrivenTransformer) -> tuple[str, np.ndarray]:
    """The sample photo; random counts of events for weights that read frames."""
    if how.frames:
        steps, channels = model.config.time_steps, model.architecture.in_channels
        counts = np.random.default_rng(SEED).poisson(0.5, (1, steps, channels, how.size, how.size))
        return f"random frames of {how.size}x{how.size}", counts.astype(np.float32)
    with given_or_sample(None) as (sample, name):
        return f"{name}, at {how.size}x{how.size}", read(sample, how, model.config.time_steps)[None]


def _all_hold(evidence: dict[str, Any]) -> bool:
    return all(found.holds for found in evidence.values())


def _as_json(found: Any) -> dict[str, Any]:
    """Evidence as plain values; of compiled code the violations and the numbers, not every address."""
    if isinstance(found, addition_only.AdditionOnly):
        kernels = [
            {
                "name": kernel.name,
                "exempt": kernel.exemption and kernel.exemption.why,
                "holds": kernel.holds,
                "multiplications": list(kernel.violations),
                "python_refused": kernel.refused,
                "python_agrees": kernel.agrees,
                "codes": [
                    {
                        "types": code.types,
                        "ir_instructions": code.ir.instructions,
                        "ir_on_addresses": len(code.ir.on_addresses),
                        "assembly_instructions": None if code.machine is None else code.machine.instructions,
                        "assembly_on_addresses": None if code.machine is None else len(code.machine.on_either),
                    }
                    for code in kernel.codes
                ],
            }
            for kernel in found.kernels
        ]
        rest = {"architecture": found.architecture, "unknown": list(found.unknown), "counted": dict(found.counted)}
        expected = None if found.expected is None else dict(found.expected)
        modules = [{"holds": each.holds, **dataclasses.asdict(each)} for each in found.modules]
        return {"holds": found.holds, **rest, "expected": expected, "modules": modules, "kernels": kernels}
    return {"holds": found.holds, **dataclasses.asdict(found)}


if __name__ == "__main__":
    sys.exit(main())
