"""Read the Python modules between the kernels: what stands there in NumPy must not multiply data either.

Every module of the rooms named here is read. Every product, quotient, remainder, power and shift in it must be one of
sizes, which `sizes` proves from the text, or be listed here with its reason, word for word, and as often as it stands
anywhere: so code may move from file to file, but nothing may be copied to where its names mean something else. What
multiplies under a name, such as `np.einsum`, and whatever is imported from a library that is not listed, is found too.
"""

import ast
import importlib
import inspect
import pkgutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from .sizes import Sizes

PACKAGE = __package__.rpartition(".")[0]
ROOMS = "engine", "network", "fixed.registers"  # of fixed/, what a run uses
SYMBOLS = {
    ast.Mult: "*",
    ast.MatMult: "@",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.LShift: "<<",
    ast.RShift: ">>",
}
NAMES = frozenset({
    "dot", "vdot", "vecdot", "inner", "outer", "matmul", "matvec", "vecmat", "einsum", "einsum_path", "tensordot",
    "kron", "cross", "multi_dot", "matrix_power", "multiply", "prod", "nanprod", "cumprod", "convolve", "correlate",
    "average", "std", "var", "trapezoid", "square", "sqrt", "power", "float_power", "exp", "exp2", "expm1",
    "log", "ldexp", "divide", "true_divide", "floor_divide", "divmod", "remainder", "mod", "fmod", "reciprocal",
    "scale", "left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift", "mul", "imul",
    "imatmul", "lshift", "rshift", "truediv", "floordiv", "pow", "interp", "polyval", "gradient", "fft", "ifft",
    "conv1d", "conv2d", "linear", "eval", "exec", "getattr", "__import__", "__mul__", "__rmul__", "__imul__",
    "imod", "ifloordiv", "itruediv", "ipow", "ilshift", "irshift", "methodcaller", "attrgetter",
    "__matmul__", "__rmatmul__", "__truediv__", "__pow__", "__lshift__", "__rshift__",
})  # fmt: skip
LIBRARIES = (
    "collections", "collections.abc", "concurrent.futures", "contextlib", "contextvars", "dataclasses", "functools",
    "itertools", "math", "numpy", "operator", "os", "scipy.sparse", "threading", "types", "typing",
)  # fmt: skip

# why they may stand there
LISTED: dict[str, tuple[str, ...]] = {
    "operations that are counted": (
        "self.widths @ sum(rows)",
        "self.widths @ sum(taps) * self.n_inputs",
        "places * int(self.widths.sum())",
        "np.diff(events.offsets).reshape(T, B, H, W) @ columns @ rows",
        "3 * reached(tokens)",
        "neurons * n",
        "positions(self._current.grid) * self._moved",
    ),
    "fields by their names": (
        "getattr(table[names], field)",
        "getattr(self, name)",
        "getattr(part, kind)",
        "getattr(part, kind)",
    ),
    "the bits of a pixel, each an event": (
        "image[:, :, channel] >> plane",
        "bit.reshape(T, -1).astype(np.uint64) << np.uint64(number % 64)",
    ),
    "constants of a register: its rounding, and a threshold for a sum": (
        "np.int64(1) << np.maximum(shift, 0) >> 1",
        "2 * half",
        "self.threshold * units.tokens",
    ),
    "the means over tokens and over time, which a run counts": (
        "total / u.dtype.type(H * W)",
        "total / logits.dtype.type(len(logits))",
    ),
    "logits, to be shown: in their unit, and as a softmax": (
        "np.ldexp",
        "np.exp",
        "exponentials / exponentials.sum()",
    ),
}


@dataclass(frozen=True)
class ModuleReading:
    """What a module of the engine multiplies.

    Attributes
    ----------
    module : path in the package, without its ending
    lines : read
    allowed : products of sizes, and those that are listed
    found : all others, with their line; must be empty
    """

    module: str
    lines: int
    allowed: int
    found: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether it multiplies no data."""
        return not self.found


def between_kernels() -> tuple[ModuleReading, ...]:
    """Read every module that stands between the kernels, and reads spikes or currents."""
    read = sources()
    trees = {name: ast.parse(source) for name, source in read.items()}
    sizes, left = Sizes(trees.values()), Counter(text for texts in LISTED.values() for text in texts)
    readings = []
    for name, tree in trees.items():
        products, others = list(products_of(tree, sizes)), []
        for line, text in products:
            if text and left[text] <= 0:
                others.append(f"line {line}: {text}")
            left[text] -= bool(text)
        path, lines = name.replace(".", "/"), len(read[name].splitlines())
        readings.append(ModuleReading(path, lines, len(products) - len(others), tuple(others)))
    return tuple(readings)


def sources() -> dict[str, str]:
    """The text of each module that is read, by its path in the package."""
    found = {}
    for room in ROOMS:
        package = importlib.import_module(f"{PACKAGE}.{room}")
        below = pkgutil.walk_packages(getattr(package, "__path__", []), f"{room}.")
        for name in (room, *(module.name for module in below)):
            found[name] = inspect.getsource(importlib.import_module(f"{PACKAGE}.{name}"))
    return found


def products_of(node: ast.AST, sizes: Sizes) -> Iterator[tuple[int, str]]:
    """Outermost products, names that multiply, and imports from other libraries: line, and text; '' for sizes."""
    line = getattr(node, "lineno", 0)  # a module has none
    by_operator = isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in SYMBOLS
    by_name = isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in NAMES
    if (by_operator or by_name) and sizes.holds(node):
        yield line, ""
        return
    if by_operator:
        yield line, ast.unparse(node)
        for part in ast.walk(node):  # a listed text holds no name that multiplies, so such a name is shown by itself
            if part is not node:
                yield from _multiplying(part, sizes)
        return
    yield from _multiplying(node, sizes)
    for child in ast.iter_child_nodes(node):
        yield from products_of(child, sizes)


def _multiplying(node: ast.AST, sizes: Sizes) -> Iterator[tuple[int, str]]:
    """What multiplies, or may, without an operator."""
    match node:
        case ast.Call(func=ast.Name(id="getattr")):
            yield node.lineno, ast.unparse(node)
        case ast.Call(func=ast.Attribute(attr="mean")):
            yield node.lineno, ast.unparse(node)  # it divides; `mean` of a current is a flag
        case ast.Attribute(attr=name) if name in NAMES:
            yield node.lineno, ast.unparse(node)
        case ast.Name(id=name) if name in NAMES and name != "getattr":
            yield node.lineno, name
        case ast.Import(names=names):
            yield from ((node.lineno, f"import {each.name}") for each in names if each.name not in LIBRARIES)
        case ast.ImportFrom(module=module, names=names, level=level):
            if level == 0 and module not in LIBRARIES:
                yield node.lineno, f"import {module}"
            yield from ((node.lineno, f"import {each.name}") for each in names if each.name in NAMES)
