"""Read the Python modules between the kernels: what stands there in NumPy must not multiply data either.

Every product, quotient, remainder, power and shift must be one that is listed here, word for word: of sizes and of
counts of operations. What multiplies under a name, such as `np.einsum`, and whatever is imported from a library that is
not listed, is found too.
"""

import ast
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass

PACKAGE = __package__.rpartition(".")[0]
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
    "__matmul__", "__rmatmul__", "__truediv__", "__pow__", "__lshift__", "__rshift__",
})  # fmt: skip
LIBRARIES = ("collections.abc", "concurrent.futures", "contextvars", "dataclasses", "functools", "itertools", "math",
             "numpy", "threading", "types", "typing")  # fmt: skip

# why a product, or a name, may stand there
SIZES, COUNTS, FIELDS = "sizes of arrays and places in them", "operations that are counted", "recordings by their names"
MODULES: dict[str, dict[str, tuple[str, ...]]] = {
    "engine.synapse": {
        SIZES: ("steps * size",),
        COUNTS: (
            "self.widths @ sum(rows)",
            "places * self.n_inputs",
            "places * int(self.widths.sum())",
            "self.widths @ sum(taps) * self.n_inputs",
        ),
    },
    "engine.current": {
        SIZES: (
            "1 << 19",
            "1 << 18",
            "math.prod",
            "-n_channels // kernels.PANEL",
            "frames * size * kernels.PANEL * current.dtype.itemsize",
            "PANELS_BYTES // panel_bytes",
            "frames * kernels.PANEL * current.dtype.itemsize",
            "PANELS_BYTES // position_bytes",
            "-WORTH_A_THREAD // (position_bytes * n_panels(current.n_channels))",
            "p * kernels.PANEL",
            "(p + 1) * kernels.PANEL",
            "H * W",
        ),
        COUNTS: ("n * current.n_channels", "positions(self._current.grid) * self._moved"),
    },
    "network.sdsa": {},
    "engine.set_operations": {
        SIZES: (
            "1 << 18",
            "1 << 17",
            "math.prod",
            "H // stride",
            "W // stride",
            "events.n_channels // heads",
            "channel % depth",
            "events.n_rows // mask.n_rows",
            "T * B",
            "TILE_EVENTS // n_channels",
            "WORTH_A_THREAD // n_channels",
            "(n_channels + 63) // 64",
            "size * n_channels",
        ),
        COUNTS: (
            "np.diff(events.offsets).reshape(T, B, H, W) @ columns @ rows",
            "3 * reached(tokens)",
            "pooled.n_rows // pooled.grid[0] * pooled.n_channels",
        ),
    },
    "network.mlp": {},
    "network.sps": {
        SIZES: ("P * T * B", "H * W", "H // 2 * (W // 2)", "H // 2", "W // 2"),
        COUNTS: ("(3 * (H // 2) - 1) * (3 * (W // 2) - 1)", "B * current.n_channels * (places - H // 2 * (W // 2))"),
    },
    "network.block": {},
    "engine.token_parallel": {
        SIZES: (
            "1 << 24",
            "u.grid[2] * u.grid[3]",
            "u.panels.size * u.n_channels // WORTH_A_RANK",
            "[np.zeros(0)] * size",
        ),
        FIELDS: ("getattr",),
    },
    "engine.neuron": {
        SIZES: ("T * size * C", "C // self.heads", "self.threshold * current.tokens"),
        COUNTS: (
            "n * C",
            "neurons * n",
            "positions(current.grid) * moved",
        ),
    },
}


@dataclass(frozen=True)
class ModuleReading:
    """What a module of the engine multiplies.

    Attributes
    ----------
    lines : read
    allowed : products of sizes and of counts, as listed here
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
    return tuple(_read(name) for name in MODULES)


def _read(name: str) -> ModuleReading:
    source = inspect.getsource(importlib.import_module(f"{PACKAGE}.{name}"))
    listed = {text for texts in MODULES[name].values() for text in texts}
    products = list(_products(ast.parse(source)))
    others = tuple(f"line {line}: {text}" for line, text in products if text not in listed)
    return ModuleReading(name, len(source.splitlines()), len(products) - len(others), others)


def _products(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Outermost products, names that multiply, and imports from other libraries: line, and text."""
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in SYMBOLS:
        yield node.lineno, ast.unparse(node)
        for part in ast.walk(node):  # a listed text holds no name that multiplies, so such a name is shown by itself
            if part is not node:
                yield from _names(part)
        return
    yield from _names(node)
    for child in ast.iter_child_nodes(node):
        yield from _products(child)


def _names(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield node.lineno, ast.unparse(node)
    elif isinstance(node, ast.Name) and node.id in NAMES:
        yield node.lineno, node.id
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "mean":
        yield node.lineno, ast.unparse(node)  # it divides; `mean` of a current is a flag
    elif isinstance(node, ast.Import):
        yield from ((node.lineno, f"import {each.name}") for each in node.names if each.name not in LIBRARIES)
    elif isinstance(node, ast.ImportFrom):
        if node.level == 0 and node.module not in LIBRARIES:
            yield node.lineno, f"import {node.module}"
        yield from ((node.lineno, f"import {each.name}") for each in node.names if each.name in NAMES)
