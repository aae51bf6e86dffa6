"""SpikeEvents: canonical, immutable, and a faithful copy of the dense tensor."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from sdt_ref import EventsError, SpikeEvents
from sdt_ref.engine.events import Tile
from tests.equality import assert_same
from tests.strategies import dense_spikes


def test_literal() -> None:
    """Two steps of one 1x2 image with three channels, written out by hand."""
    dense = np.zeros((2, 1, 3, 1, 2), np.uint8)
    dense[0, 0, 2, 0, 0] = dense[0, 0, 0, 0, 1] = dense[0, 0, 2, 0, 1] = dense[1, 0, 1, 0, 1] = 1
    events = SpikeEvents.from_dense(dense)
    assert events.offsets.tolist() == [0, 1, 3, 3, 4]
    assert events.channels.tolist() == [2, 0, 2, 1]
    assert events.shape == (2, 1, 3, 1, 2)
    assert (events.n_events, events.n_rows, events.n_tokens) == (4, 4, 2)
    assert events.events_per_step().tolist() == [3, 1]
    assert events.firing_rate == pytest.approx(1 / 3)
    assert repr(events) == "SpikeEvents(shape=(2, 1, 3, 1, 2), n_events=4, firing_rate=0.3333)"


@given(dense_spikes())
def test_dense_to_events_to_dense(dense: np.ndarray) -> None:
    events = SpikeEvents.from_dense(dense)
    assert_same(events.to_dense(), dense, "round trip")
    assert events.n_events == dense.sum()
    assert events.channels.dtype.itemsize <= 4


@given(dense_spikes(), st.sampled_from([1, 2, 5]))
def test_heads_are_a_view(dense: np.ndarray, heads: int) -> None:
    T, B, C, H, W = dense.shape
    dense = np.repeat(dense, heads, axis=2)
    events = SpikeEvents.from_dense(dense).in_heads(heads)
    official = dense.reshape(T, B, heads, C, H * W).swapaxes(-1, -2)
    assert_same(events.to_dense(), official, "heads")
    assert_same(SpikeEvents.from_dense(official, heads=True).to_dense(), official, "round trip")


@given(dense_spikes())
def test_scipy_round_trip(dense: np.ndarray) -> None:
    events = SpikeEvents.from_dense(dense)
    matrix = events.to_scipy()
    assert scipy.sparse.issparse(matrix)
    assert matrix.has_canonical_format
    assert matrix.indices.dtype == matrix.indptr.dtype == np.int32
    assert_same(matrix.toarray(), np.moveaxis(dense, 2, -1).reshape(matrix.shape), "matrix")
    assert SpikeEvents.from_scipy(matrix, events.grid) == events
    assert SpikeEvents.from_scipy(matrix.tocoo(), events.grid) == events


@given(dense_spikes(), st.integers(1, 4))
def test_joining_tiles_is_the_same_as_one_tile(dense: np.ndarray, size: int) -> None:
    T, _, C = dense.shape[:3]
    rows = np.moveaxis(dense, 2, -1).reshape(T, -1, C)
    cuts = range(0, rows.shape[1], size)
    tiles = [
        Tile(part.sum(axis=2, dtype=np.int64), np.nonzero(part)[2]) for part in (rows[:, p : p + size] for p in cuts)
    ]
    events = SpikeEvents.from_dense(dense)
    assert SpikeEvents.from_kernel(events.grid, C, tiles) == events


def test_memory_grows_with_the_events() -> None:
    few, many = (SpikeEvents.from_dense(np.random.default_rng(0).random((4, 1, 512, 14, 14)) < r) for r in (0.01, 0.1))
    rows = few.offsets.nbytes
    assert few.nbytes - rows == 2 * few.n_events
    assert (many.nbytes - rows) / (few.nbytes - rows) == pytest.approx(10, rel=0.05)


def test_arrays_cannot_be_written() -> None:
    source = np.array([0, 1])
    events = SpikeEvents((1, 1), 3, source, np.array([2]))
    source[0] = 7  # the events hold their own copy
    assert events.offsets[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        events.channels[0] = 1
    with pytest.raises(AttributeError):
        events.n_channels = 5  # type: ignore[misc]
    assert isinstance(SpikeEvents([1, 1], 3, source * 0, np.array([], int)).grid, tuple)  # type: ignore[arg-type]


def test_equality_is_by_value() -> None:
    one = SpikeEvents((1, 1), 4, np.array([0, 1]), np.array([2]))
    assert one == SpikeEvents((1, 1), 4, np.array([0, 1]), np.array([2]))
    assert one != SpikeEvents((1, 1), 4, np.array([0, 1]), np.array([3]))
    assert one != SpikeEvents((1, 1), 5, np.array([0, 1]), np.array([2]))
    assert one != "events"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((2,), 3, [0, 0, 0], []), r"grid: expected \(T, B, H, W\) or \(T, B\)"),
        (((1, 0), 3, [0], []), "grid"),
        (((1, 1), 0, [0, 0], []), "n_channels: expected 1 to 65536, found 0"),
        (((1, 1), 70_000, [0, 0], []), "n_channels: expected 1 to 65536, found 70000"),
        (((1, 1), 3, [0, 0], [], 2), "heads: expected a divisor of 3 channels, found 2"),
        (((1, 1), 3, [0], []), "offsets: expected 2 values"),
        (((1, 2), 3, [0, 2, 1], [1]), "offsets: expected 3 values rising from 0 to 1 events"),
        (((1, 1), 3, [0, 1], []), "offsets"),
        (((1, 3), 3, np.array([0, 2, 1, 2], np.uint64), [0, 1]), "offsets: expected 4 values rising"),
        (((1.5, 1), 3, [0, 0], []), "grid: expected whole numbers"),
        (((1, 1), 5.0, [0, 0], []), "n_channels: expected whole numbers"),
        (((1, 1), 4, [0, 0], [], 2.0), "heads: expected whole numbers"),
        (((1, 1), 3, [0.0, 1.0], [1]), "offsets: expected one axis of integers, found float64"),
        (((1, 1), 3, [0, 1], [3]), "channels: expected 0 to 2, found 3 to 3"),
        (((1, 1), 3, [0, 1], [-1]), "channels: expected 0 to 2, found -1"),
        (((1, 1), 3, [0, 2], [1, 1]), "strictly ascending"),
        (((1, 1), 3, [0, 2], [2, 1]), "strictly ascending"),
        (((1, 2), 3, [0, 2, 3], [2, 1, 0]), "strictly ascending"),
    ],
)
def test_a_list_that_is_not_canonical_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    grid, n_channels, offsets, channels, *heads = arguments
    with pytest.raises(EventsError, match=message):
        SpikeEvents(grid, n_channels, np.array(offsets), np.array(channels), *heads)


def test_channels_may_fall_from_one_row_to_the_next_and_rows_may_be_empty() -> None:
    events = SpikeEvents((1, 5), 4, np.array([0, 0, 2, 2, 3, 3]), np.array([1, 3, 0]))
    assert events.to_dense()[0].tolist() == [[0] * 4, [0, 1, 0, 1], [0] * 4, [1, 0, 0, 0], [0] * 4]


def test_dense_values_other_than_0_and_1_are_refused() -> None:
    with pytest.raises(EventsError, match="only 0 and 1"):
        SpikeEvents.from_dense(np.full((1, 1, 1), 2))
    with pytest.raises(EventsError, match="axes"):
        SpikeEvents.from_dense(np.zeros((1, 1)))
    with pytest.raises(EventsError, match="heads: expected a divisor of 4 channels, found 3"):
        SpikeEvents((1, 1), 4, np.array([0, 0]), np.array([], int)).in_heads(3)
    with pytest.raises(EventsError, match="none empty"):
        SpikeEvents.from_dense(np.zeros((1, 1, 0)))
    with pytest.raises(EventsError, match=r"expected a scipy.sparse matrix, found ndarray"):
        SpikeEvents.from_scipy(np.ones((1, 1)), (1, 1))
    with pytest.raises(EventsError, match="only ones"):
        SpikeEvents.from_scipy(scipy.sparse.csr_array([[2]]), (1, 1))
