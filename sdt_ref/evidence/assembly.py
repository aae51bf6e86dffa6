"""Read the assembly of a compiled kernel: the instructions that the processor runs, after all optimisations.

Assembly has no types, so it cannot tell a product of data from one of addresses, but for those that addresses never
need: in floating point, and in vectors of lanes narrower than an address. None of these may occur. The others, of
scalars and of 64-bit lanes, may occur where the reader of the IR has found multiplications, and cleared each of them.
"""

import platform
import re
from dataclasses import dataclass

INSTRUCTION = re.compile(r"^\s+([a-z][\w.]*)(?:\s+(.*))?$")
LABEL = re.compile(r"^\"?([^\s\"#:]+)\"?:")
WRAPPERS = re.compile(r"_*(ZN7cpython|NRT_)|_?cfunc\.")  # as in llvm_ir; other systems put an underscore before names


@dataclass(frozen=True)
class InstructionSet:
    """Instructions of a processor that multiply; each pattern is matched with 'mnemonic operands'.

    Attributes
    ----------
    of_data : in floating point, and of vectors of integers of 8, 16 and 32 bits: never of addresses
    of_either : of scalar integers, and of 64-bit lanes
    """

    name: str
    of_data: re.Pattern[str]
    of_either: re.Pattern[str]


X86_64 = InstructionSet(
    "x86-64",
    re.compile(
        r"v?(mul|div|sqrt|rcp|rsqrt|rcp14|rsqrt14|dp|scalef)(nep)?[ps](s|d|h|bf16)\b"  # one for each of four types
        r"|vfn?m(add|sub|addsub|subadd)\w*|vfc?(madd|mul)c[ps]h\b|f(i?(mul|div|divr)p?[sl]?|sqrt|scale)\b"
        r"|v?pmul(l[wd]|hu?w|hrsw)\b|v?pmadd\w+|vpdp\w+|vdp\w+|v?gf2p8(mul|affine)\w+"
    ),
    re.compile(r"(i?mul|mulx|i?div)[bwlq]?\b|v?pmul(lq|u?dq)\b"),
)
AARCH64 = InstructionSet(
    "AArch64",
    re.compile(
        r"f(mul|mulx|nmul|n?madd|n?msub|div|divr|sqrt|n?mad|n?msb|n?ml[as]\w*|cmla|mmla|c?recp\w*|rsqrt\w*|scale)\b"
        r"|bf(dot|ml\w+|mmla)\b|[us]{0,2}(dot|mmla)\b|sqr?dm\w+|pmull?[2bt]?\b|[us]divr?\s+z"
        r"|(mul|mla|mls|mad|msb|[us]ml[as]l|[us]mull|[us]mulh)[2bt]?(\.\d+[bhs]\b|\s+[vz]\d+\.(?!2?d\b))"
    ),
    re.compile(r"(mul|mneg|madd|msub|mla|mls|mad|msb|[us]mull|[us]mulh|[us]m(add|sub|neg)l|[us]div)\b"),
)
ARCHITECTURES = {"x86_64": X86_64, "AMD64": X86_64, "aarch64": AARCH64, "arm64": AARCH64}


@dataclass(frozen=True)
class AssemblyReading:
    """What the assembly of one compiled kernel holds.

    Attributes
    ----------
    instructions : read
    on_data : those that multiply, or divide, what cannot be addresses
    on_either : those that multiply, or divide, scalar integers or 64-bit lanes
    """

    instructions: int
    on_data: tuple[str, ...]
    on_either: tuple[str, ...]


def this_machine() -> InstructionSet | None:
    """The architecture whose assembly is compiled here; None if this module cannot read it."""
    return ARCHITECTURES.get(platform.machine())


def read(text: str, architecture: InstructionSet) -> AssemblyReading:
    """Read the assembly of a kernel's module, without Python's wrappers.

    Raises ValueError where the text holds no instruction.
    """
    instructions = []
    wrapper = True  # until the first function begins
    for line in text.splitlines():
        if label := LABEL.match(line):
            if not label[1].startswith((".", "L")):  # a local label begins no function
                wrapper = bool(WRAPPERS.match(label[1]))
        elif not wrapper and (found := INSTRUCTION.match(line)):
            instructions.append(f"{found[1]} {(found[2] or '').strip()}".strip())
    if not instructions:
        raise ValueError("assembly: expected instructions, found none; was the kernel loaded from the cache?")
    on_data = [code for code in instructions if architecture.of_data.match(code)]
    on_either = [
        code for code in instructions if architecture.of_either.match(code) and not architecture.of_data.match(code)
    ]
    return AssemblyReading(len(instructions), tuple(on_data), tuple(on_either))
