"""Read LLVM IR and tell multiplications on data from address arithmetic.

On data is: every floating-point multiplication, division or fused multiply-add; an integer multiplication or division
(or shift to the left of a value that is no constant) with a factor from memory, whose result is stored, returned or
passed on, not just used as an address or loop bound; any integer product of two factors from memory; and a shift to the
right of a value from memory, unless it takes single bits out of a word. The parameters of a kernel that another kernel
calls count as memory, as do those of functions that are no kernels. Calls are followed into what the module defines,
and a kernel that is called is read by itself; any other call is itself suspicious, also one without a name.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

WRAPPERS = ("_ZN7cpython", "cfunc.", "NRT_")  # what Python calls, and reference counts: no arithmetic of a kernel

FLOAT_MULTIPLY = re.compile(r"\b(fmul|fdiv|frem|llvm\.fma|llvm\.fmuladd|llvm\.powi?|llvm\.vector\.reduce\.f?mul)\b")
INTEGER_MULTIPLY = re.compile(
    r"(mul|shl|[us]div|[us]rem)\b(?: nuw| nsw| exact)* (?P<type><[^>]+>|\S+) (?P<left>[^,]+), (?P<right>.+)$"
)
FUNCTION = re.compile(r"^define [^\n]*?@\"?([^\"(]+)\"?\(([^\n]*)\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
SHIFT_RIGHT = re.compile(r"[al]shr\b(?: exact)? (?P<type><[^>]+>|\S+) (?P<left>[^,]+),")
PICKS_BITS = re.compile(r"and i64 %\S+, \d+$|(tail )?call\b[^@]*@llvm\.ctpop\.i64\(")
ASSIGNMENT = re.compile(r"^\s*(%[\w.\"$-]+) = (.*)$")
MEMORY = re.compile(r"(tail )?(load\b|call\b[^@]*@llvm\.masked\.(gather|load))")
NAME = re.compile(r"%[\w.$-]+|%\"[^\"]+\"")
CALL = re.compile(r"(?:\S+ = )?(?:(?:tail|musttail|notail) )?(?:call|invoke)\b")
CALLED = re.compile(r"\b(?:call|invoke)\b[^@\n]*@\"?([\w.$%<>*, ]+?)\"?\(")
HARMLESS = re.compile(
    r"llvm\.(mem(set|cpy|move)|cttz|ctlz|ctpop|[us](min|max)|assume|prefetch|masked\.(gather|scatter|load|store)|lifetime|"
    r"experimental\.noalias|[us]sub\.sat|[us](add|sub)\.with\.overflow|vector\.reduce\.add)|NRT_(incref|decref)"
)


@dataclass
class Function:
    """One function of a module's IR.

    Attributes
    ----------
    data : its parameters, where they count as data
    """

    name: str
    data: set[str]
    definitions: dict[str, str] = field(default_factory=dict)
    users: dict[str, list[tuple[str | None, str]]] = field(default_factory=lambda: defaultdict(list))
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class IRReading:
    """What the IR of one compiled kernel holds.

    Attributes
    ----------
    instructions : read
    loads : of them
    on_data : multiplications on data, and calls that could do any
    on_addresses : integer multiplications and divisions that are no more than addresses and loop bounds
    """

    instructions: int
    loads: int
    on_data: tuple[str, ...]
    on_addresses: tuple[str, ...]


def read(text: str, is_kernel: Callable[[str], bool], is_inner: bool = False) -> IRReading:
    """Read the IR of a kernel's module.

    Parameters
    ----------
    is_kernel : whether a mangled name is that of a kernel, which is read by itself
    is_inner : whether this kernel is called by others, with data

    Raises ValueError where the text holds no function.
    """
    functions = _functions(text, is_kernel, is_inner)
    if not functions:
        raise ValueError("LLVM IR: expected a compiled function, found none; was it loaded from the cache?")
    on_data, on_addresses = _multiplications(functions, is_kernel)
    lines = [code for function in functions for code in function.lines]
    loads = sum(1 for code in lines if MEMORY.match(code.split(" = ", 1)[-1]))
    return IRReading(len(lines), loads, tuple(on_data), tuple(on_addresses))


def dotted(mangled: str) -> str:
    """The Python name of a mangled one: '_ZN7sdt_ref7kernels6bitset6insertB2...' -> 'sdt_ref.kernels.bitset.insert'."""
    parts, rest = [], mangled.removeprefix("_ZN")
    while length := re.match(r"\d+", rest):
        rest = rest[length.end() :]
        parts.append(rest[: int(length[0])])
        rest = rest[int(length[0]) :]
    return ".".join(parts)


def _functions(text: str, is_kernel: Callable[[str], bool], is_inner: bool) -> list[Function]:
    functions = []
    for name, parameters, body in FUNCTION.findall(text):
        if name.startswith(WRAPPERS):
            continue
        data = is_inner or not is_kernel(name)
        function = Function(name, set(NAME.findall(parameters)) if data else set())
        for line in body.splitlines():
            code = line.split(", !", 1)[0].strip()
            if not code or code.endswith(":") or code.startswith(";"):
                continue
            function.lines.append(code)
            assignment = ASSIGNMENT.match(code)
            if assignment:
                function.definitions[assignment[1]] = assignment[2]
            for used in NAME.findall(assignment[2] if assignment else code):
                function.users[used].append((assignment[1] if assignment else None, code))
        functions.append(function)
    return functions


def _multiplications(functions: list[Function], is_kernel: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """Instructions that multiply data, and calls that could; and those that multiply addresses."""
    on_data: list[str] = []
    on_addresses: list[str] = []
    known = {function.name for function in functions}
    for function in functions:
        for code in function.lines:
            if FLOAT_MULTIPLY.search(code):
                on_data.append(code)
            names = CALLED.findall(code)
            if CALL.match(code) and not names:
                on_data.append(f"call without a name: {code}")
            for called in names:
                if called not in known and not HARMLESS.match(called) and not is_kernel(called):
                    on_data.append(f"call of {called}")
        for name, operation in function.definitions.items():
            shifted = SHIFT_RIGHT.match(operation)
            if (
                shifted
                and _is_data(shifted["left"], function)
                and _is_kept(name, function, _is_word(shifted, function))
            ):
                on_data.append(f"{name} = {operation}")
            match = INTEGER_MULTIPLY.match(operation)
            if not match or (match[1] == "shl" and not match["left"].startswith("%")):  # 1 << c: a constant is no data
                continue
            factors = [_is_data(match[side], function) for side in ("left", "right")]
            twice = all(factors) and match[1] in ("mul", "shl")
            found = on_data if twice or (any(factors) and _is_kept(name, function)) else on_addresses
            found.append(f"{name} = {operation}")
    return on_data, on_addresses


def _is_data(factor: str, function: Function) -> bool:
    """Whether a factor comes from memory, or from a parameter that counts as data."""
    todo, seen = NAME.findall(factor), set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in function.data or MEMORY.match(function.definitions.get(name, "")):
            return True
        todo += NAME.findall(function.definitions.get(name, ""))
    return False


def _is_word(shifted: re.Match[str], function: Function) -> bool:
    """Whether what is shifted to the right is a word of 64 bits, as it was loaded: a set of channels, or of spikes."""
    return shifted["type"] == "i64" and function.definitions.get(shifted["left"], "").startswith("load i64")


def _is_kept(product: str, function: Function, is_word: bool = False) -> bool:
    """Whether the product reaches memory, a result or a call as a value; of a word, more than its bits one by one."""
    todo, seen = [product], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for result, code in function.users[name]:
            operation = code.split(" = ", 1)[-1]
            if re.match(r"(getelementptr|inttoptr|icmp|br|switch|load)\b", operation):
                continue  # an address, a loop bound, a comparison
            if is_word and PICKS_BITS.match(operation):
                continue
            if operation.startswith("store"):
                stored = re.match(r"store (?:volatile )?(?:<[^>]+>|\S+) ([^,]+),", operation)
                if stored and name in stored[1]:
                    return True
            elif re.match(r"ret\b|(tail |musttail )?call\b", operation) and result is None:
                return True
            elif result is not None:
                todo.append(result)
    return False
