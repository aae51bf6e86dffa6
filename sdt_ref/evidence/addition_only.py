"""Claim: spikes are binary and only ever add. Nothing that reads spikes multiplies data.

Each kernel is compiled again, for every type of numbers that the engine uses, and its LLVM IR and assembly are read;
and its Python body runs on numbers that only add. What may multiply is named here, and must be seen to multiply. The
modules between the kernels are read as Python.
"""

import importlib
import math
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from .. import kernels
from ..errors import ConfigError
from ..inputs.arrays import as_frames
from ..kernels.policy import config
from ..network.model import SpikeDrivenTransformer
from ..result import Result
from ..weights.arithmetic import FIXED
from ..weights.wiring import NEURON, wiring
from . import assembly, between, llvm_ir
from .addition import Refused, interpreted, plain
from .exercises import EXERCISES, TYPES, Arguments, NumberTypes


@dataclass(frozen=True)
class Exemption:
    """Why a kernel may multiply, with which LLVM instructions and Python operator; none of these reads spikes."""

    why: str
    instructions: tuple[str, ...]
    operator: str


EXEMPT = {
    "conv3x3_analog": Exemption("pixels x weights", ("fmul",), "*"),
    "lif_steps": Exemption("the leak, x 1/tau", ("fmul", "shl"), "*"),  # a shift puts a spike into its word
    "lif_steps_fixed": Exemption("leak, units: shifts", ("shl", "ashr"), "<<"),
    "requantise": Exemption("units: shifts", ("shl", "ashr"), "<<"),
}
# what the engine may count as multiplications or divisions: entries of Result.counts and Result.other_counts
COUNTED = {
    "MS_SPS_proj_conv": "the analog first convolution",
    "leak": "the leak of the neurons",
    "token_mean": "the mean over tokens",
    "time_mean": "the mean over time",
}
INNER = ("insert", "contains", "drain")  # called by other kernels, with data


@dataclass(frozen=True)
class Code:
    """A kernel compiled for one type of numbers; `machine` is None where no reader knows this machine's assembly."""

    types: str
    ir: llvm_ir.IRReading
    machine: assembly.AssemblyReading | None

    @property
    def on_data(self) -> tuple[str, ...]:
        """Instructions of the assembly that multiply data."""
        if self.machine is None:
            return ()
        cleared = any(" = shl " not in operation for operation in self.ir.on_addresses)
        return self.machine.on_data if cleared else (*self.machine.on_data, *self.machine.on_either)

    def violations(self, allowed: tuple[str, ...] = ()) -> tuple[str, ...]:
        """What multiplies data, except by these LLVM instructions."""
        found = [line for line in self.ir.on_data if operation(line) not in allowed]
        return (*found, *(() if "fmul" in allowed else self.on_data))


def operation(line: str) -> str:
    """The instruction in a line of LLVM IR: 'fmul' of '%3 = fmul double %1, %2'."""
    return line.rpartition(" = ")[2].split()[0]


@dataclass(frozen=True)
class KernelEvidence:
    """What was found in one kernel.

    Attributes
    ----------
    exemption : None for a kernel that must not multiply
    codes : one for each type of numbers
    refused : what its Python body tried on numbers that only add; '' for nothing
    agrees : whether it computed there what the compiled kernel computes
    """

    name: str
    exemption: Exemption | None
    codes: tuple[Code, ...]
    refused: str
    agrees: bool

    @property
    def violations(self) -> tuple[str, ...]:
        """Multiplications on data that nothing exempts, in the compiled code and in the Python body."""
        allowed = self.exemption.instructions if self.exemption else ()
        found = tuple(f"{code.types}: {line}" for code in self.codes for line in code.violations(allowed))
        return (f"Python: '{self.refused}'", *found) if self.refused and not self.exemption else found

    @property
    def holds(self) -> bool:
        """Whether it only adds; an exempt one must be seen to do what it is exempt for."""
        if self.violations or not self.codes:
            return False
        if self.exemption:
            return self.refused == self.exemption.operator and all(code.ir.on_data for code in self.codes)
        return self.agrees


@dataclass(frozen=True)
class AdditionOnly:
    """Evidence that nothing that reads spikes multiplies.

    Attributes
    ----------
    architecture : whose assembly was read; None where there is no reader for it
    kernels : all there are
    unknown : kernels that were not inspected, because `exercises` does not call them; must be empty
    counted : multiplications and divisions that the network counted in a run, by name; without a run, none
    expected : the same, from the shapes of the network and of its input; None where they were not given
    modules : between the kernels
    """

    architecture: str | None
    kernels: tuple[KernelEvidence, ...]
    unknown: tuple[str, ...]
    counted: Mapping[str, int]
    expected: Mapping[str, int] | None = None
    modules: tuple[between.ModuleReading, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the claim holds."""
        known = not self.unknown and self.counted.keys() <= COUNTED.keys() and self.expected in (None, self.counted)
        return known and all(read.holds for read in self.modules) and all(kernel.holds for kernel in self.kernels)


def addition_only(
    result: Result | None = None,
    exercised: Mapping[str, tuple[NumberTypes, ...]] | None = None,
    progress: Callable[[str], None] = lambda name: None,
    expected: Mapping[str, int] | None = None,
) -> AdditionOnly:
    """Inspect all kernels.

    Parameters
    ----------
    result : of a run, to show what the network multiplied and counted
    exercised : types of numbers to compile each kernel for; those that it was called with in this process so far are
        read, too. None: all that the engine can use, of every kernel
    progress : called with the name of each kernel before it is inspected
    expected : what the run must have counted, see `expected_counts`

    Raises ConfigError where Numba is switched off, so that there is no compiled code.
    """
    if config.DISABLE_JIT:
        raise ConfigError("NUMBA_DISABLE_JIT: expected compiled kernels, whose code is read; unset it")
    found = all_kernels()
    own = {f"{kernel.py_func.__module__}.{name}" for name, kernel in found.items()}
    every = {name: TYPES.get(name, (NumberTypes(),)) for name in EXERCISES} if exercised is None else exercised

    def is_kernel(mangled: str) -> bool:
        return llvm_ir.dotted(mangled) in own

    def inspected() -> Iterator[KernelEvidence]:
        for name in every:
            progress(name)
            yield inspect(name, found[name], every[name], is_kernel)

    unknown = tuple(sorted(found.keys() - EXERCISES.keys()))
    counted = {} if result is None else counted_products(result)
    machine = assembly.this_machine()
    architecture = None if machine is None else machine.name
    return AdditionOnly(architecture, tuple(inspected()), unknown, counted, expected, between.between_kernels())


def counted_products(result: Result) -> dict[str, int]:
    """Multiplications and divisions that a run counted, by layer and by kind."""
    counts = {**result.counts, **result.other_counts}
    return {name: int(count.mac.sum()) for name, count in counts.items() if count.mac.any()}


def expected_counts(model: SpikeDrivenTransformer, x: np.ndarray, result: Result) -> dict[str, int]:
    """Multiplications and divisions of a run with recorded spikes, from shapes alone: in fixed point there are none."""
    if model.arithmetic is FIXED:
        return {}
    image, T = as_frames(x, model.architecture, model.config, model.arithmetic.dtype)
    frames, B, inputs, H, W = image.shape
    outputs = model.weight_layers["patch_embed.proj_conv"].n_outputs
    stages = wiring(model.architecture, model.config).values()
    neurons = sum(math.prod(result.spikes[stage.hook].shape) for stage in stages if stage.kind == NEURON)
    return {
        "MS_SPS_proj_conv": frames * B * inputs * outputs * (3 * H - 2) * (3 * W - 2),  # taps inside the image
        "leak": neurons,
        "token_mean": T * B * model.architecture.dim,
        "time_mean": B * model.architecture.num_classes,
    }


def all_kernels() -> dict[str, Any]:
    """Every compiled function of the package `kernels`, by its name."""
    found = {}
    for module in pkgutil.iter_modules(kernels.__path__):
        for value in vars(importlib.import_module(f"{kernels.__name__}.{module.name}")).values():
            if hasattr(value, "py_func") and value.py_func.__module__.startswith(f"{kernels.__name__}."):
                found[value.py_func.__name__] = value
    return found


def inspect(name: str, kernel: Any, types: tuple[NumberTypes, ...], is_kernel: Callable[[str], bool]) -> KernelEvidence:
    """Compile a kernel for some types of numbers and read its code; run its Python body on numbers that only add."""
    fresh = numba.njit(nogil=True)(kernel.py_func)  # what was loaded from the cache has no code to be read
    machine = assembly.this_machine()
    labels, results = {}, []
    for numbers in types:
        results = [_run(fresh, arguments) for arguments in EXERCISES[name](numbers)]
        labels[fresh.signatures[-1]] = str(numbers) if name in TYPES else "events"
    for signature in kernel.signatures:
        if signature not in labels:
            fresh.compile(signature)
            labels[signature] = "as called"
    codes = tuple(
        Code(
            label,
            llvm_ir.read(fresh.inspect_llvm(signature), is_kernel, name in INNER),
            None if machine is None else assembly.read(fresh.inspect_asm(signature), machine),
        )
        for signature, label in labels.items()
    )
    refused, adding = "", []
    try:
        body = interpreted(kernel)
        adding = [_run(body, arguments) for arguments in EXERCISES[name](NumberTypes(only_add=True))]
    except Refused as error:
        refused = str(error)
    except Exception as error:  # any operation that these numbers lack
        refused = f"{type(error).__name__}: {error}"
    return KernelEvidence(name, EXEMPT.get(name), codes, refused, adding == results)


def _run(function: Callable[..., Any], arguments: Arguments) -> list[Any]:
    """What a call returns and leaves in its arguments, as plain numbers."""
    returned = plain(function(*arguments))
    left = [array for array in arguments if isinstance(array, np.ndarray)]
    if returned is not None:  # so many events were written; behind them, compiled code may leave anything
        left = [array[:returned] if array.dtype in (np.uint16, object) else array for array in left]
    return [returned, *(plain(array.astype(object)).tolist() for array in left)]
