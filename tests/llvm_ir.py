"""Read LLVM IR and tell multiplications on data from address arithmetic.

On data is: every floating-point multiplication or fused multiply-add; and an integer multiplication with a factor that
was loaded from memory, whose product is stored, returned or passed on, not just used as an address or loop bound.
"""

import re
from collections import defaultdict
from typing import Any

FLOAT_MULTIPLY = re.compile(r"\b(fmul|fdiv|llvm\.fma|llvm\.fmuladd|llvm\.powi?|llvm\.vector\.reduce\.f?mul)\b")
FUNCTION = re.compile(r"^define [^\n]*?@\"?([^\"(]+)\"?\([^\n]*\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
ASSIGNMENT = re.compile(r"^\s*(%[\w.\"$-]+) = (.*)$")
NAME = re.compile(r"%[\w.$-]+|%\"[^\"]+\"")


def ir_of(kernel: Any) -> dict[str, str]:
    """IR of the kernel and all that it inlines or calls, without Python's wrappers, for each compiled signature."""
    return {
        f"{signature}:{name}": body
        for signature, text in kernel.inspect_llvm().items()
        for name, body in FUNCTION.findall(text)
        if not name.startswith(("cpython.", "cfunc.", "NRT_", "PyInit")) and "wrapper" not in name
    }


def data_multiplications(body: str) -> list[str]:
    """Instructions of one function that multiply data."""
    found, definitions, users = [], {}, defaultdict(list)
    for line in body.splitlines():
        text = line.split(", !", 1)[0].strip()
        if FLOAT_MULTIPLY.search(text):
            found.append(text)
        assignment = ASSIGNMENT.match(text)
        if assignment:
            definitions[assignment[1]] = assignment[2]
        for name in NAME.findall(assignment[2] if assignment else text):
            users[name].append((assignment[1] if assignment else None, text))
    for name, operation in definitions.items():
        if re.match(r"mul\b", operation) and _is_loaded(operation, definitions) and _is_kept(name, users):
            found.append(f"{name} = {operation}")
    return found


def _is_loaded(operation: str, definitions: dict[str, str]) -> bool:
    """Whether any factor comes from memory."""
    todo, seen = NAME.findall(operation), set()
    while todo:
        name = todo.pop()
        if name in seen or name not in definitions:
            continue
        seen.add(name)
        if re.match(r"(tail )?load\b", definitions[name]):
            return True
        todo += NAME.findall(definitions[name])
    return False


def _is_kept(product: str, users: dict[str, list[tuple[str | None, str]]]) -> bool:
    """Whether the product reaches memory, a result or a call as a value."""
    todo, seen = [product], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for result, text in users[name]:
            operation = text.split(" = ", 1)[-1]
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
