"""What "equal" means: every spike, every current, every logit and every count, with ==."""

import re
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import pytest

import sdt_ref
from tests.networks import Network, input_of, model_of


def assert_same(actual: np.ndarray, expected: np.ndarray, name: str) -> None:
    """Compare exactly; show the first differing number."""
    assert actual.shape == expected.shape, f"{name}: shape {actual.shape}, expected {expected.shape}"
    assert actual.dtype == expected.dtype, f"{name}: type {actual.dtype}, expected {expected.dtype}"
    different = np.argwhere(~((actual == expected) | (np.isnan(actual) & np.isnan(expected))))
    if len(different):
        first = tuple(different[0])
        raise AssertionError(
            f"{name}: {len(different)} of {actual.size} differ, first at {first}: {actual[first]!r}, expected {expected[first]!r}"
        )


def assert_same_results(engine: Any, oracle: Any) -> None:
    """Compare two results in the order of the data flow."""
    assert list(engine.spikes) == list(oracle.spikes)
    assert list(engine.currents) == list(oracle.currents)
    for hook, spikes in oracle.spikes.items():
        assert_same(engine.spikes[hook].to_dense(), spikes.to_dense(), hook)
    for module, current in oracle.currents.items():
        assert_same(engine.currents[module], current, f"current of {module}")
    for kind in ("streams", "sums"):
        assert set(getattr(engine, kind)) == set(getattr(oracle, kind))
        for module, values in getattr(oracle, kind).items():
            assert_same(getattr(engine, kind)[module], values, f"{kind} of {module}")
    assert_same(engine.logits_per_step, oracle.logits_per_step, "logits per step")
    assert_same(engine.logits, oracle.logits, "logits")
    assert list(engine.overflows) == list(oracle.overflows)
    for register, beyond in oracle.overflows.items():
        assert_same(engine.overflows[register], beyond, f"overflows of {register}")
    assert set(engine.counts) == set(oracle.counts)
    for layer, count in oracle.counts.items():
        for kind in ("ac", "mac", "events", "neurons"):
            assert_same(getattr(engine.counts[layer], kind), getattr(count, kind), f"{kind} of {layer}")


@contextmanager
def small_tiles(nbytes: int, package: ModuleType = sdt_ref) -> Any:
    """Cut even small networks into many tiles, and give each thread some."""
    with (
        mock.patch.object(package.engine.current, "PANELS_BYTES", nbytes),
        mock.patch.object(package.engine.current, "WORTH_A_THREAD", nbytes // 4),
        mock.patch.object(package.engine.token_parallel, "WORTH_A_RANK", nbytes // 4),
        mock.patch.object(package.engine.set_operations, "TILE_EVENTS", nbytes),
    ):
        yield


def assert_engine_equals_oracle(n: Network, arithmetic: str = "float32", threads: int = 1, tile_bytes: int = 1 << 18,
                                package: ModuleType = sdt_ref, formats: str | None = None) -> None:  # fmt: skip
    """Run a random network both ways. In fixed point either may refuse an overflow: then the other does, in the same words."""
    model, x = model_of(n, arithmetic, threads, package, formats), input_of(n)
    with np.errstate(over="ignore", invalid="ignore"), small_tiles(tile_bytes, package):
        try:
            expected = package.dense.forward(model, x)
        except package.FormatError as refused:
            with pytest.raises(package.FormatError, match=f"^{re.escape(str(refused))}$"):
                model(x)
            return
        assert_same_results(model(x, record="currents"), expected)
