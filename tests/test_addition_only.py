"""The compiled kernels that read spikes contain no multiplication on data; one planted in a copy is found."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from .copies import changed_copy
from .llvm_ir import data_multiplications, functions_of

OFFSETS = np.array([0, 1, 2, 2, 3])  # 2x2 pixels, two channels
CHANNELS = np.array([0, 1, 0], np.uint16)
for array in (OFFSETS, CHANNELS):
    array.setflags(write=False)  # as in SpikeEvents


def accumulate(kernels: ModuleType, dtype: type, narrow: type | None = None) -> list[Any]:
    current, added, cursors = kernels.aligned((2, 1, 4, 64), dtype), np.zeros((2, 1), np.int64), np.empty(4, np.int64)
    for window in (1, 3):
        panels, bias = kernels.aligned((2, window**2 * 2, 64), narrow or dtype), kernels.aligned((2, 64), dtype)
        kernels.add_rows(OFFSETS, CHANNELS, 1, 2, 2, window, 0, 4, panels, bias, cursors, current, 0, added)
    return [kernels.add_rows]


def accumulate_bytes(kernels: ModuleType, dtype: type) -> list[Any]:
    return accumulate(kernels, dtype, np.int8)


def accumulate_checked(kernels: ModuleType, dtype: type) -> list[Any]:
    current, counts = kernels.aligned((2, 1, 4, 64), dtype), np.zeros((2, 2, 1), np.int64)
    panels, bias = np.zeros((2, 18, 64), np.int8), np.zeros((2, 64), dtype)
    kernels.add_rows_checked(OFFSETS, CHANNELS, 1, 2, 2, 3, 2, 0, 4, panels, bias, -8, 7, False, current, 0, *counts)
    return [kernels.add_rows_checked]


def registers(kernels: ModuleType, dtype: type) -> list[Any]:
    source, x, membrane = kernels.aligned((1, 2, 1, 64), dtype), *kernels.aligned((2, 64), dtype)
    source[:] = 0
    shifts, beyond = np.zeros((1, kernels.STEPS, 64), dtype), np.zeros(2, np.int64)
    terms, fired = np.array([[1, 0]]), np.zeros((1, 2, 1), np.uint64)
    kernels.settle(source, 1, shifts, True, source, shifts, -8, 7, False, x, source.copy(), 0, beyond)
    kernels.fire_whole(source, 1, shifts, True, -8, 7, False, terms, shifts, True, 4, x, membrane, fired, beyond)
    return [kernels.settle, kernels.fire_whole]


def pooling(kernels: ModuleType, _: type) -> list[Any]:
    bits, out, per_row = np.zeros(1, np.uint64), np.empty(8 + kernels.SLACK, np.uint16), np.empty(4, np.int64)
    kernels.pool3x3(OFFSETS, CHANNELS, 2, 2, 1, 0, 4, bits, out, per_row)
    return [kernels.pool3x3, kernels.bitset.insert, kernels.bitset.drain]


def attention(kernels: ModuleType, dtype: type) -> list[Any]:
    bits, out, per_row = np.zeros(1, np.uint64), np.empty(8 + kernels.SLACK, np.uint16), np.empty(4, np.int64)
    kernels.intersect(OFFSETS, CHANNELS, OFFSETS, CHANNELS, 1, 0, 4, bits, out, per_row)
    kernels.sum_tokens(OFFSETS, CHANNELS, 4, np.empty((1, 2), dtype))
    low = high = np.arange(2)
    kernels.spread_tokens(OFFSETS, CHANNELS, 4, low, high, 0, 4, bits, out, per_row)
    return [kernels.intersect, kernels.sum_tokens, kernels.spread_tokens]


Compile = Callable[[ModuleType, type], list[Any]]


def violations(package: ModuleType, compile_all: Compile, dtype: type) -> list[str]:
    found = []
    for kernel in compile_all(package.kernels, dtype):
        functions = functions_of(kernel)
        assert any("load" in code for f in functions for code in f.lines), f"{kernel}: no IR, or it does nothing"
        found += data_multiplications(functions)
    return found


def test_no_multiplication_on_data(tmp_path: Path) -> None:
    with changed_copy(tmp_path, jit=True) as package:
        for compile_all in (accumulate, pooling, attention):
            for dtype in (np.float32, np.float64):
                assert violations(package, compile_all, dtype) == [], f"{compile_all.__name__} in {dtype.__name__}"
        for compile_all in (accumulate, accumulate_bytes, accumulate_checked, registers):
            for dtype in (np.int32, np.int64):
                found = violations(package, compile_all, dtype)
                if compile_all is registers:  # a leak is a shift
                    found = [code for code in found if not re.search(r"= shl ", code)]
                assert found == [], f"{compile_all.__name__} in {dtype.__name__}"


PLANTED: dict[str, tuple[Compile, str, str, str]] = {
    "spike times weight": (accumulate, "vector.py", "totals = [add(total, row) for", "totals = [add(total, builder.fmul(total, row)) for"),
    "scaled row number": (accumulate, "vector.py", "element = builder.add(builder.mul(row, INDEX(PANEL)), base)", "element = builder.add(builder.mul(row, row), base)"),
    "scaled bias": (accumulate, "accumulate.py", "copy_panel(bias, p", "copy_panel(bias * bias, p"),
    "scaled current": (accumulate, "accumulate.py", "cursors[t * count + i] = e", "cursors[t * count + i] = e\n                            current[p, t, at + i, 0] *= bias[p, 0]"),
    "scaled by a shift": (accumulate, "accumulate.py", "cursors[t * count + i] = e", "cursors[t * count + i] = channels[e] * 4"),
    "a library's product": (accumulate, "accumulate.py", "n_events = 0\n", "n_events = int(np.dot(bias[0], bias[0]))\n"),
    "shifted channel": (pooling, "pooling.py", "insert(bits, channels[e])", "insert(bits, channels[e] << 1)"),
    "product in a callee": (pooling, "bitset.py", "builder.add(builder.load(entry, align=2), repeated)", "builder.mul(builder.load(entry, align=2), repeated)"),
    "shifted event": (attention, "attention.py", "common[n_events] = a_channels[e]", "common[n_events] = a_channels[e] << 3"),
    "scaled channel": (pooling, "pooling.py", "insert(bits, channels[e])", "insert(bits, channels[e] * channels[e])"),
    "scaled event": (attention, "attention.py", "common[n_events] = a_channels[e]", "common[n_events] = a_channels[e] * b_channels[0]"),
    "scaled register": (registers, "whole.py", "return b.ashr(b.add(y, add), right)", "return b.ashr(b.mul(y, add), right)"),
    "scaled sum of a checked layer": (accumulate_checked, "whole.py", "total = current[p, t, at + i, o] + panels", "total = current[p, t, at + i, o] * panels"),
    "scaled count": (attention, "attention.py", "sums[pair, channels[e]] += 1", "sums[pair, channels[e]] *= 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_multiplication_is_found(tmp_path: Path, name: str) -> None:
    compile_all, file, old, new = PLANTED[name]
    library = (
        "kernels/accumulate.py",
        "from .policy import kernel",
        "import numpy as np\n\nfrom .policy import kernel",
    )
    with changed_copy(tmp_path, library, (f"kernels/{file}", old, new), jit=True) as package:
        whole = compile_all in (registers, accumulate_checked)
        found = violations(package, compile_all, np.int32 if whole else np.float32)
        assert any(compile_all is not registers or "= shl " not in code for code in found)


def test_the_analog_convolution_does_multiply(tmp_path: Path) -> None:
    """It is exempt by name; the check sees its multiplications."""
    with changed_copy(tmp_path, jit=True) as package:
        kernel = package.kernels.conv3x3_analog
        kernel(np.ones((1, 4, 1), np.float32), 1, 2, 2, 0, 4, np.ones((1, 9, 64), np.float32), np.zeros((1, 64), np.float32),
               np.empty((1, 1, 4, 64), np.float32), 0, np.zeros((1, 1), np.int64))  # fmt: skip
        assert data_multiplications(functions_of(kernel))
