"""Fixed-point formats: what a register holds, and the file that declares one for each stage.

A register of format (bits, fraction) holds the two's-complement number r, which stands for r * 2**-fraction. All
operations are on whole numbers; docs/fixed-point.md is the specification.

    schema_version = 1
    input = { bits = 10, fraction = 7, rounding = "half even", overflow = "saturate" }

    [default]                                   # of all stages
    membrane = { bits = 16, fraction = 11, rounding = "floor", overflow = "saturate", leak_rounding = "floor" }

    [stage."block.0.attn.q_conv"]               # what differs: official module, register, key
    weight = { bits = 4 }
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..errors import ConfigError, FormatError, shown
from ..files import read_text, write
from ..weights.config import is_int

SCHEMA_VERSION = 1
MAX_BITS = 48  # of any register: sums, shifts and roundings of them fit into 64 bits
MAX_FRACTION = 40
MOST_DOTS = 64  # of a line
MOST_TERMS = 64  # of a leak: each is a shift and an addition at every neuron
FLOOR, HALF_UP, HALF_EVEN, TOWARD_ZERO = ROUNDINGS = ("floor", "half up", "half even", "toward zero")
SATURATE, WRAP, ERROR = OVERFLOWS = ("saturate", "wrap", "error")
SCALES = ("channel", "layer")
LEAK_BITS = 8  # fraction bits of a leak that is not declared


@dataclass(frozen=True)
class Format:
    """A register of two's-complement numbers.

    Attributes
    ----------
    bits : width, with the sign
    fraction : r stands for r * 2**-fraction
    rounding : when fraction bits are dropped: 'floor', 'half up', 'half even' or 'toward zero'
    overflow : 'saturate', 'wrap' or 'error'
    """

    bits: int
    fraction: int
    rounding: str = FLOOR
    overflow: str = SATURATE

    @property
    def low(self) -> int:
        """The least number it holds."""
        return -(1 << (self.bits - 1))

    @property
    def high(self) -> int:
        """The greatest number it holds."""
        return (1 << (self.bits - 1)) - 1

    def wider(self, bits: int) -> Self:
        """The same register with more bits on top."""
        return type(self)(self.bits + bits, self.fraction, self.rounding, self.overflow)

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Which of these whole numbers are in range."""
        return (values >= self.low) & (values <= self.high)

    def fit(self, values: np.ndarray) -> np.ndarray:
        """What the register holds when whole numbers are written to it; 'error' saturates, and is refused later."""
        if self.overflow == WRAP:
            return ((values - self.low) & ((1 << self.bits) - 1)) + self.low
        return np.clip(values, self.low, self.high)

    def align(self, values: np.ndarray, fraction: np.ndarray | int) -> np.ndarray:
        """Bring whole numbers of another fraction to this one, rounded but not yet fitted; int64."""
        shift = np.asarray(fraction) - self.fraction
        return shifted_right(values.astype(np.int64) << np.maximum(-shift, 0), np.maximum(shift, 0), self.rounding)

    def quantise(self, values: np.ndarray) -> np.ndarray:
        """Real numbers in units of this register, rounded but not yet fitted: float64 -> whole numbers, int64."""
        return rounded(np.ldexp(values.astype(np.float64), self.fraction), self.rounding)


def shifted_right(values: np.ndarray, shift: np.ndarray | int, rounding: str) -> np.ndarray:
    """Divide int64 by 2**shift, to whole numbers; shift is 0 or more."""
    shift = np.asarray(shift, np.int64)
    down = values >> shift
    dropped = values - (down << shift)  # 0 .. 2**shift - 1
    half = (np.int64(1) << shift) >> 1
    if rounding == FLOOR:
        return down
    if rounding == TOWARD_ZERO:
        return down + ((values < 0) & (dropped > 0))
    if rounding == HALF_UP:
        return down + ((dropped >= half) & (half > 0))
    return down + ((half > 0) & ((dropped > half) | ((dropped == half) & (down & 1 == 1))))


def rounded(values: np.ndarray, rounding: str) -> np.ndarray:
    """Real numbers to whole ones: float64 -> int64; beyond 2**62 they stay there."""
    if rounding == HALF_EVEN:
        whole = np.rint(values)
    elif rounding == TOWARD_ZERO:
        whole = np.trunc(values)
    else:
        whole = np.floor(values)
        if rounding == HALF_UP:
            whole = whole + (values - whole >= 0.5)
    return np.clip(whole, -(2.0**62), 2.0**62).astype(np.int64)


def _one_of(names: Iterable[str]) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, str) and v in names


# register: key: (what its value must be, whether a value is)
_KEYS: dict[str, tuple[str, Any]] = {
    "bits": (f"2 to {MAX_BITS}", lambda v: is_int(v) and 2 <= v <= MAX_BITS),
    "fraction": (f"0 to {MAX_FRACTION}", lambda v: is_int(v) and 0 <= v <= MAX_FRACTION),
    "rounding": (f"one of {', '.join(ROUNDINGS)}", _one_of(ROUNDINGS)),
    "overflow": (f"one of {', '.join(OVERFLOWS)}", _one_of(OVERFLOWS)),
    "leak_rounding": (f"one of {', '.join(ROUNDINGS)}", _one_of(ROUNDINGS)),
    "leak": ("signed powers of two from 2^0 on, such as '2^-1 - 2^-4', or '0'", lambda v: isinstance(v, str)),
    "scale": (f"one of {', '.join(SCALES)}", _one_of(SCALES)),
}

_MOST_BITS = {"weight": 16, "input": 16, "bias": 32}  # of the others, MAX_BITS

RegisterFormat = Mapping[str, Any]

# what a register can declare, and what it is where the file says nothing; but see defaults.py
REGISTERS: dict[str, RegisterFormat] = {
    "input": {"bits": 10, "fraction": 7, "rounding": HALF_EVEN, "overflow": SATURATE},
    "weight": {"bits": 8, "scale": "channel", "rounding": HALF_EVEN, "fraction": None},
    "bias": {"bits": 16, "rounding": HALF_EVEN, "fraction": None},
    "accumulator": {"bits": 32, "overflow": None},
    "membrane": {
        "bits": 16, "fraction": 10, "rounding": HALF_UP, "overflow": SATURATE, "leak": None, "leak_rounding": HALF_UP,
    },
    "stream": {"bits": 16, "fraction": 10, "rounding": HALF_UP, "overflow": SATURATE},
}  # fmt: skip


@dataclass(frozen=True)
class Formats:
    """The formats of a whole network.

    Attributes
    ----------
    default : register ('weight', 'membrane', ...) -> declared keys
    stages : official module -> register -> declared keys

    Raises FormatError for unknown names and values out of range.
    """

    default: Mapping[str, RegisterFormat]
    stages: Mapping[str, Mapping[str, RegisterFormat]]

    def __post_init__(self) -> None:
        _check_registers("default", self.default)
        if not isinstance(self.stages, Mapping):
            raise FormatError(f"formats: stages: expected a table of stages, found {shown(self.stages)}")
        for stage, registers in self.stages.items():
            _check_registers(f"stage {shown(stage)}", registers)

    def register(self, stage: str, register: str) -> dict[str, Any]:
        """All keys of a register of a stage, a module of the official code."""
        return {
            **REGISTERS[register],
            **self.default.get(register, {}),
            **self.stages.get(stage, {}).get(register, {}),
        }

    def format(self, stage: str, register: str) -> Format:
        """A register whose format is declared completely: 'input', 'membrane' or 'stream'."""
        keys = self.register(stage, register)
        return Format(keys["bits"], keys["fraction"], keys["rounding"], keys["overflow"])

    def check_stages(self, registers_of: Mapping[str, Iterable[str]]) -> None:
        """Raise FormatError when a stage is declared that a network lacks, or a register that a stage lacks."""
        for stage, registers in self.stages.items():
            if stage not in registers_of:
                raise FormatError(
                    f"formats: this network has no stage {shown(stage)}; stages are modules of the official code, such "
                    f"as '{next(iter(registers_of))}'"
                )
            for register in registers:
                if register not in registers_of[stage]:
                    raise FormatError(
                        f"formats: stage '{stage}' has no register {shown(register)}; it has "
                        f"{', '.join(registers_of[stage])}"
                    )

    def to_toml(self) -> str:
        """The text of a formats file."""
        default = {**REGISTERS, **{name: {**REGISTERS[name], **keys} for name, keys in self.default.items()}}
        lines = [f"schema_version = {SCHEMA_VERSION}", f"input = {_inline(default.pop('input'))}", "", "[default]"]
        lines += [f"{name} = {_inline(keys)}" for name, keys in default.items()]
        for stage, registers in self.stages.items():
            lines += ["", f'[stage."{stage}"]', *(f"{name} = {_inline(keys)}" for name, keys in registers.items())]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Read the text of a formats file; raises FormatError."""
        if not isinstance(text, str):
            raise FormatError(f"formats: expected a text in TOML, found {shown(text)}")
        dots = max((line.count(".") for line in text.split("\n") if not line.startswith("#")), default=0)
        if dots > MOST_DOTS:  # of names in names, through which the reader of TOML walks for each line below
            raise FormatError(f"formats: expected at most {MOST_DOTS} dots in a line, found {dots}")
        try:
            table = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # what is no TOML; a number of thousands of digits
            raise FormatError(f"formats: expected TOML, found {error}") from None
        version = table.pop("schema_version", None)
        if not is_int(version) or version != SCHEMA_VERSION:
            raise FormatError(f"formats: expected schema_version = {SCHEMA_VERSION}, found {shown(version)}")
        default, stages = table.pop("default", {}), table.pop("stage", {})
        for name, value in (("[default]", default), ("[stage]", stages)):
            if not isinstance(value, dict):
                raise FormatError(f"formats: {name}: expected a table, found {shown(value)}")
        if "input" in default:
            raise FormatError("formats: 'input' stands at the top of the file, not under [default]")
        if "input" in table:
            default = {"input": table.pop("input"), **default}
        if table:
            raise FormatError(
                f'formats: unknown name {shown(next(iter(table)))}; known: input, [default], [stage."..."]'
            )
        return cls(default, stages)


def load(path: str | os.PathLike[str]) -> Formats:
    """Read a formats file; raises FormatError in one line."""
    text = read_text(path, "formats file", FormatError)
    try:
        return Formats.from_toml(text)
    except FormatError as error:
        raise FormatError(f"formats file '{path}': {error}") from None


def save(path: str | os.PathLike[str], formats: Formats) -> None:
    """Write a formats file; raises ConfigError when it cannot be written."""
    write(path, formats.to_toml().encode(), ConfigError)


def leak_terms(leak: str) -> tuple[tuple[int, int], ...]:
    """Read a leak: '2^-1 - 2^-4' -> ((1, 1), (-1, 4)), sign and shift of each term. Raises FormatError."""
    text = leak.replace(" ", "") if isinstance(leak, str) else ""
    term = rf"2\^(?:0|-[1-{LEAK_BITS}])"
    if text != "0" and not re.fullmatch(rf"[+-]?{term}(?:[+-]{term})*", text):
        raise FormatError(f"leak: expected {_KEYS['leak'][0]}, found {shown(leak)}")
    pairs = tuple((-1 if sign == "-" else 1, int(shift)) for sign, shift in re.findall(r"([+-]?)2\^-?(\d)", text))
    if len(pairs) > MOST_TERMS:
        raise FormatError(f"leak: expected at most {MOST_TERMS} powers of two, found {len(pairs)}")
    total = sum(sign * 2.0**-shift for sign, shift in pairs)
    if not 0 <= total <= 1:
        raise FormatError(f"leak: expected a sum from 0 to 1, found {shown(leak)}, which is {total}")
    return pairs


def leak_text(factor: float) -> str:
    """Write a factor from 0 to 1 as the shortest sum of signed powers of two, after rounding it to LEAK_BITS bits."""
    units, terms, shift = round(factor * 2**LEAK_BITS), [], LEAK_BITS
    while units:
        if units & 1:  # the non-adjacent form: of two neighbouring digits one is zero
            sign = 2 - (units & 3)
            terms.append(f"{'+' if sign > 0 else '-'} 2^-{shift}")
            units -= sign
        units >>= 1
        shift -= 1
    return " ".join(reversed(terms)).removeprefix("+ ").replace("2^-0", "2^0") or "0"


def _inline(keys: RegisterFormat) -> str:
    values = ((key, str(value) if is_int(value) else f'"{value}"') for key, value in keys.items() if value is not None)
    return "{ " + ", ".join(f"{key} = {value}" for key, value in values) + " }"


def _check_registers(where: str, registers: Any) -> None:
    if not isinstance(registers, Mapping):
        raise FormatError(f"formats: {where}: expected a table of registers, found {shown(registers)}")
    for name, keys in registers.items():
        if name not in REGISTERS:
            raise FormatError(f"formats: {where}: unknown register {shown(name)}; known: {', '.join(REGISTERS)}")
        if not isinstance(keys, Mapping):
            raise FormatError(
                f"formats: {where}: '{name}': expected a table such as {{ bits = 8 }}, found {shown(keys)}"
            )
        for key, value in keys.items():
            if key not in REGISTERS[name]:
                raise FormatError(
                    f"formats: {where}: '{name}' has no key {shown(key)}; it has {', '.join(REGISTERS[name])}"
                )
            expected, is_right = _KEYS[key]
            if key == "bits" and name in _MOST_BITS and is_right(value):
                expected, is_right = f"2 to {_MOST_BITS[name]}", value <= _MOST_BITS[name]
            else:
                is_right = is_right(value)
            if not is_right:
                raise FormatError(f"formats: {where}: '{name}.{key}': expected {expected}, found {shown(value)}")
            if key == "leak":
                leak_terms(value)
