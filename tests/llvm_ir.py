"""Read LLVM IR and tell multiplications on data from address arithmetic.

On data is: every floating-point multiplication, division or fused multiply-add; an integer multiplication (or shift to
the left of a value that is no constant) with a factor from memory, whose product is stored, returned or passed on, not
just used as an address or loop bound; and any integer product of two factors from memory. In functions that a kernel
calls and that are no kernels, parameters count as memory. Calls are followed into what the module defines; any other is itself suspicious.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

FLOAT_MULTIPLY = re.compile(r"\b(fmul|fdiv|frem|llvm\.fma|llvm\.fmuladd|llvm\.powi?|llvm\.vector\.reduce\.f?mul)\b")
FUNCTION = re.compile(r"^define [^\n]*?@\"?([^\"(]+)\"?\(([^\n]*)\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
ASSIGNMENT = re.compile(r"^\s*(%[\w.\"$-]+) = (.*)$")
MEMORY = re.compile(r"(tail )?(load\b|call\b[^@]*@llvm\.masked\.(gather|load))")
NAME = re.compile(r"%[\w.$-]+|%\"[^\"]+\"")
CALLED = re.compile(r"\b(?:call|invoke)\b[^@\n]*@\"?([\w.$%<>*, ]+?)\"?\(")
KERNEL = r"_ZN\d+sdt_copy_\d+7kernels"  # mangled name of any kernel: each is read as a function of its own
HARMLESS = re.compile(
    r"llvm\.(mem(set|cpy|move)|cttz|ctlz|ctpop|[us](min|max)|assume|prefetch|masked\.(gather|scatter|load|store)|lifetime|experimental\.noalias|[us]sub\.sat|[us](add|sub)\.with\.overflow|vector\.reduce\.add)"
    rf"|NRT_(incref|decref)|{KERNEL}"
)


@dataclass
class Function:
    """One function of a module's IR."""

    name: str
    parameters: set[str]
    definitions: dict[str, str] = field(default_factory=dict)
    users: dict[str, list[tuple[str | None, str]]] = field(default_factory=lambda: defaultdict(list))
    lines: list[str] = field(default_factory=list)


def functions_of(kernel: Any) -> list[Function]:
    """Functions of the kernel's module and all that it inlines or calls, without Python's wrappers."""
    functions = []
    for text in kernel.inspect_llvm().values():
        for name, parameters, body in FUNCTION.findall(text):
            if name.startswith(("_ZN7cpython", "cfunc.", "NRT_")):
                continue
            is_kernel = re.match(KERNEL, name)
            function = Function(name, set() if is_kernel else set(NAME.findall(parameters)))
            for line in body.splitlines():
                code = line.split(", !", 1)[0].strip()
                function.lines.append(code)
                assignment = ASSIGNMENT.match(code)
                if assignment:
                    function.definitions[assignment[1]] = assignment[2]
                for used in NAME.findall(assignment[2] if assignment else code):
                    function.users[used].append((assignment[1] if assignment else None, code))
            functions.append(function)
    return functions


def data_multiplications(functions: list[Function]) -> list[str]:
    """Instructions that multiply data, and calls that could."""
    found = []
    known = {function.name for function in functions}
    for function in functions:
        for code in function.lines:
            if FLOAT_MULTIPLY.search(code):
                found.append(code)
            for called in CALLED.findall(code):
                if called not in known and not HARMLESS.match(called):
                    found.append(f"call of {called}")
        for name, operation in function.definitions.items():
            match = re.match(r"(mul|shl)\b(?: nuw| nsw)* (?:<[^>]+>|\S+) ([^,]+), (.+)$", operation)
            if not match or (match[1] == "shl" and not match[2].startswith("%")):  # 1 << c: a constant is no data
                continue
            factors = [_is_data(factor, function) for factor in match.groups()[1:]]
            if all(factors) or (any(factors) and _is_kept(name, function)):
                found.append(f"{name} = {operation}")
    return found


def _is_data(factor: str, function: Function) -> bool:
    """Whether a factor comes from memory, or from a parameter of an inner function."""
    todo, seen = NAME.findall(factor), set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in function.parameters or MEMORY.match(function.definitions.get(name, "")):
            return True
        todo += NAME.findall(function.definitions.get(name, ""))
    return False


def _is_kept(product: str, function: Function) -> bool:
    """Whether the product reaches memory, a result or a call as a value."""
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
            if operation.startswith("store"):
                stored = re.match(r"store (?:volatile )?(?:<[^>]+>|\S+) ([^,]+),", operation)
                if stored and name in stored[1]:
                    return True
            elif re.match(r"ret\b|(tail |musttail )?call\b", operation) and result is None:
                return True
            elif result is not None:
                todo.append(result)
    return False
