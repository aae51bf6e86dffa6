"""Token-parallel threads: whatever happens to one of them, none waits for ever, and the first error is shown."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from sdt_ref import infer
from sdt_ref.engine import tiles
from sdt_ref.engine.run import Run
from sdt_ref.engine.stored import StoredCurrent
from sdt_ref.engine.token_parallel import token_parallel
from sdt_ref.errors import ConfigError
from sdt_ref.network.block import Block
from sdt_ref.result import OPERATIONS
from tests.equality import assert_same, assert_same_results, small_tiles
from tests.networks import Network, input_of, model_of

NETWORK = Network(depth=2, height=8, width=8, pooling_stat="0000")


@pytest.mark.parametrize("threads", [2, 3, 5, 7])
@pytest.mark.parametrize(
    "n", [Network(batch=3, depth=2), Network(height=4, width=4), Network(hidden=16, spike_mode="plif")]
)
def test_everything_recorded_and_counted_is_that_of_one_thread(n: Network, threads: int) -> None:
    """Also operations outside the weight layers, which the oracle does not count; and 1 token, fewer than threads."""
    x = input_of(n)
    one = model_of(n)(x, record="currents")
    with small_tiles(64):
        parallel = model_of(n, threads=threads)(x, record="currents")
    assert_same_results(parallel, one)
    assert list(parallel.stage_counts) == list(one.stage_counts)
    for kind, stages in one.stage_counts.items():
        assert list(parallel.stage_counts[kind]) == list(stages)
        for stage, count in stages.items():
            for name in OPERATIONS:
                assert_same(
                    getattr(parallel.stage_counts[kind][stage], name),
                    getattr(count, name),
                    f"{name}: {kind} of {stage}",
                )


@pytest.mark.parametrize("in_main", [True, False])
def test_an_error_of_one_thread_is_the_one_that_is_shown(monkeypatch: pytest.MonkeyPatch, in_main: bool) -> None:
    model, x = model_of(NETWORK, threads=3), input_of(NETWORK)
    call = Block.__call__

    def fail(block: Block, u: Any, run: Run) -> Any:
        if block is model.blocks[1] and (threading.current_thread() is threading.main_thread()) == in_main:
            raise MemoryError("full")
        return call(block, u, run)

    with small_tiles(64):
        expected = model(x).logits
        monkeypatch.setattr(Block, "__call__", fail)
        with pytest.raises(MemoryError, match="full"):
            model(x)
        monkeypatch.undo()
        assert_same(model(x).logits, expected, "logits of the next call")
    assert [t.name for t in threading.enumerate() if t.name.startswith("sdt_ref_rank")] == []


def test_an_error_after_the_last_meeting_is_shown_too() -> None:
    """A thread that still leaves the barrier must not make it look broken."""
    u = StoredCurrent((1, 1, 2, 4), 64, np.zeros((1, 1, 8, 64), np.float32))

    class Failing:
        tokens_apart = True

        def __call__(self, share: StoredCurrent, run: Run) -> StoredCurrent:
            rank = run.all_reduce(lambda size: size[0], np.ones(1))
            if threading.current_thread().name.endswith("_2"):
                raise MemoryError(rank)
            return share

    with small_tiles(4):
        for _ in range(300):
            with pytest.raises(MemoryError):
                token_parallel([Failing()], u, Run(1, 4))


def test_a_thread_that_cannot_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """And those that were started do not wait for it."""
    model, x = model_of(NETWORK, threads=3), input_of(NETWORK)
    start, started = threading.Thread.start, list[str]()

    def refuse_the_second(thread: threading.Thread) -> None:
        if thread.name.startswith("sdt_ref_rank"):
            started.append(thread.name)
            if len(started) == 2:
                raise RuntimeError("can't start new thread")
        start(thread)

    with small_tiles(64):
        model(x)
        monkeypatch.setattr(threading.Thread, "start", refuse_the_second)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            model(x)


def test_the_command_says_so_when_no_thread_can_be_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(tiles, "_pool", ThreadPoolExecutor)
    assert infer.main(["--json", "--threads", "2"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "error: no more threads can be started here; use fewer, such as --threads 1\n"


@pytest.mark.parametrize("record", [np.array([1, 2]), 1, "spikes", None])
def test_record_takes_its_three_values_only(record: Any) -> None:
    with pytest.raises(ConfigError, match="record: expected True, False or 'currents'"):
        model_of(NETWORK)(input_of(NETWORK), record=record)


@pytest.mark.slow
def test_many_callers_at_a_time() -> None:
    model, x = model_of(NETWORK, threads=3), input_of(NETWORK)
    with small_tiles(64), ThreadPoolExecutor(6) as callers:
        expected = model(x).logits
        for logits in callers.map(lambda _: model(x).logits, range(24)):
            assert_same(logits, expected, "logits")


def test_a_silent_network_takes_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetching ahead ends with the weights, also where no event says how many rows are worth a slab."""
    from sdt_ref import kernels

    fetched: list[int] = []
    accumulate = kernels.add_rows.py_func
    monkeypatch.setitem(accumulate.__globals__, "prefetch", lambda array, element: fetched.append(element))
    offsets, channels = np.zeros(4 * 98 + 1, np.int64), np.zeros(0, np.uint16)
    panels, bias = kernels.aligned((1, 80, kernels.PANEL), np.float32), kernels.aligned((1, kernels.PANEL), np.float32)
    current = kernels.aligned((1, 4, 98, kernels.PANEL), np.float32)
    accumulate(
        offsets,
        channels,
        1,
        1,
        98,
        1,
        0,
        98,
        panels,
        bias,
        np.zeros(4 * 98, np.int64),
        current,
        0,
        np.zeros((1, 4), np.int64),
    )
    assert 0 < len(fetched) <= 80 * kernels.PANEL * 4 // 64 + 98
