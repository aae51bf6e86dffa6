"""SpikeEvents: a binary tensor stored as the sorted list of its ones."""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..errors import EventsError, is_nested, shown
from ..weights.tensors import MAX_CHANNELS

if TYPE_CHECKING:
    import scipy.sparse

CHANNEL = np.dtype(np.uint16)
OFFSET = np.dtype(np.int64)
MOST_NUMBERS = 1 << 32  # of a dense tensor, which are not claimed for a shape that repeats one number


@dataclass(frozen=True, eq=False)
class SpikeEvents:
    """Spikes of one layer: for each time step, sample and token, the channels that spike.

    One row per token at one time step, in the order time step, sample, image row, image column; within a row the
    channels ascend and none stands twice. So equal spikes have equal lists, and memory grows with the spikes, not with
    the neurons. A spike carries no value. The arrays cannot be written.

    Attributes
    ----------
    grid : (T, B, H, W), or (T, B) for a layer without tokens; its product is the number of rows
    n_channels : C, at most 65,536
    offsets : int64[rows + 1]; row r holds channels[offsets[r]:offsets[r + 1]]
    channels : uint16[n_events]
    heads : None, or the number of heads h that the official tensor splits its channels into

    Raises
    ------
    EventsError
        the list is not canonical
    """

    grid: tuple[int, ...]
    n_channels: int
    offsets: np.ndarray
    channels: np.ndarray
    heads: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", _grid(self.grid))
        object.__setattr__(self, "n_channels", _whole_number("n_channels", self.n_channels))
        if self.heads is not None:
            object.__setattr__(self, "heads", _whole_number("heads", self.heads))
        _validate(self)
        object.__setattr__(self, "offsets", _frozen(self.offsets, OFFSET))
        object.__setattr__(self, "channels", _frozen(self.channels, CHANNEL))

    @classmethod
    def from_kernel(cls, grid: tuple[int, ...], n_channels: int, tiles: "Sequence[Tile]") -> Self:
        """Join the tiles that kernels wrote, in their order; canonical by construction, so not validated again.

        Parameters
        ----------
        tiles : each covers a range of positions, for all time steps
        """
        if len(tiles) == 1:
            per_row, channels = tiles[0].per_row, tiles[0].channels
        else:
            per_row = np.concatenate([tile.per_row for tile in tiles], axis=1)  # [T, positions]
            steps = [np.split(tile.channels, np.cumsum(tile.per_row.sum(axis=1))[:-1]) for tile in tiles]
            channels = np.concatenate([step for same_step in zip(*steps, strict=True) for step in same_step])
        offsets = np.zeros(per_row.size + 1, OFFSET)
        np.cumsum(per_row, out=offsets[1:])
        events = object.__new__(cls)
        fields = {"grid": grid, "n_channels": n_channels, "offsets": offsets, "channels": channels, "heads": None}
        for name, value in fields.items():
            object.__setattr__(events, name, value)
        offsets.setflags(write=False)
        channels.setflags(write=False)
        return events

    @classmethod
    def join(cls, shares: "Sequence[SpikeEvents]", grid: tuple[int, ...]) -> Self:
        """Join events of shares [T, B, 1, tokens] of the tokens of each sample."""
        T, B = grid[:2]
        per_row = np.concatenate([np.diff(share.offsets).reshape(T * B, -1) for share in shares], axis=1)
        channels = [
            share.channels[share.offsets[k * share.n_tokens] : share.offsets[(k + 1) * share.n_tokens]]
            for k in range(T * B)
            for share in shares
        ]
        joined = cls.from_kernel(grid, shares[0].n_channels, [Tile(per_row.reshape(1, -1), np.concatenate(channels))])
        return joined if shares[0].heads is None else joined.in_heads(shares[0].heads)

    @classmethod
    def from_dense(cls, spikes: Any, *, heads: bool = False) -> Self:
        """Read a dense 0/1 tensor of an official hook's shape.

        Parameters
        ----------
        spikes : [T, B, C, H, W] or [T, B, C]; with `heads`, [T, B, h, N, d]

        Raises
        ------
        EventsError
            another rank, or values other than 0 and 1
        """
        dense = _as_array("dense spikes", spikes, 5)
        if 0 in dense.shape or dense.ndim not in ((5,) if heads else (3, 5)):
            raise EventsError(
                "dense spikes: expected axes T,B,C,H,W or T,B,C (with heads T,B,h,N,d), none empty, "
                f"found shape {shown(dense.shape)}"
            )
        if dense.size > MOST_NUMBERS:
            raise EventsError(
                f"dense spikes: expected at most {MOST_NUMBERS:,} numbers, found shape {shown(dense.shape)}"
            )
        if not np.isin(dense, (0, 1)).all():
            raise EventsError("dense spikes: expected only 0 and 1, found other values")
        if heads:
            T, B, h, N, d = dense.shape
            grid, n_channels = ((T, B, 1, N) if N != 1 else (T, B)), h * d
            rows = dense.transpose(0, 1, 3, 2, 4).reshape(-1, n_channels)
        else:
            grid, n_channels = dense.shape[:2] + dense.shape[3:], dense.shape[2]
            rows = np.moveaxis(dense, 2, -1).reshape(-1, n_channels)
        offsets = np.concatenate([[0], np.cumsum(np.count_nonzero(rows, axis=1))])
        return cls(grid, n_channels, offsets, np.nonzero(rows)[1], dense.shape[2] if heads else None)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the official tensor: [T, B, C, H, W], [T, B, C], [T, B, h, N, d] or [T, B, h, 1, d]."""
        T, B, *image = self.grid
        if self.heads is None:
            return (T, B, self.n_channels, *image)
        return (T, B, self.heads, self.n_tokens, self.n_channels // self.heads)

    @property
    def n_tokens(self) -> int:
        """Rows per time step and sample."""
        return math.prod(self.grid[2:])

    @property
    def n_rows(self) -> int:
        """Rows in all: one per time step, sample and token."""
        return len(self.offsets) - 1

    @property
    def n_events(self) -> int:
        """Number of spikes."""
        return len(self.channels)

    @property
    def nbytes(self) -> int:
        """Memory held, bytes."""
        return self.offsets.nbytes + self.channels.nbytes

    @property
    def firing_rate(self) -> float:
        """Spikes per neuron and time step."""
        return self.n_events / (self.n_rows * self.n_channels)

    def events_per_step(self) -> np.ndarray:
        """Spikes of each time step, int64[T]."""
        return np.diff(self.step_offsets())

    def step_offsets(self) -> np.ndarray:
        """Where the spikes of each time step begin, and where those of the last one end: int64[T + 1], a copy."""
        return self.offsets[:: self.n_rows // self.grid[0]].copy()

    def in_heads(self, heads: int) -> Self:
        """The same events, seen as the official code's [T, B, heads, N, d]; nothing is copied.

        Raises EventsError unless heads divides the channels.
        """
        heads = _whole_number("heads", heads)
        _check_heads(heads, self.n_channels)
        events = object.__new__(type(self))
        for name in ("grid", "n_channels", "offsets", "channels"):
            object.__setattr__(events, name, getattr(self, name))
        object.__setattr__(events, "heads", heads)
        return events

    def to_dense(self) -> np.ndarray:
        """Build the dense tensor, uint8, in the official shape."""
        rows = np.zeros((self.n_rows, self.n_channels), np.uint8)
        rows[np.repeat(np.arange(self.n_rows), np.diff(self.offsets)), self.channels] = 1
        dense = rows.reshape(*self.grid, self.n_channels)
        if self.heads is None:
            return np.ascontiguousarray(np.moveaxis(dense, -1, 2))
        T, B = self.grid[:2]
        split = dense.reshape(T, B, self.n_tokens, self.heads, -1)
        return np.ascontiguousarray(split.transpose(0, 1, 3, 2, 4))

    def to_scipy(self) -> "scipy.sparse.csr_array":
        """Build a `scipy.sparse.csr_array` of ones: rows are tokens at time steps, columns are channels."""
        from scipy.sparse import csr_array

        ones = np.ones(self.n_events, np.uint8)
        index = np.int32 if self.n_events <= np.iinfo(np.int32).max else np.int64
        columns, offsets = self.channels.astype(index), self.offsets.astype(index)
        return csr_array((ones, columns, offsets), shape=(self.n_rows, self.n_channels))

    @classmethod
    def from_scipy(cls, matrix: Any, grid: tuple[int, ...], heads: int | None = None) -> Self:
        """Read any scipy.sparse matrix of ones; explicit zeros are dropped.

        Raises EventsError when values other than 0 and 1 are stored.
        """
        if not hasattr(matrix, "tocsr"):
            raise EventsError(f"sparse spikes: expected a scipy.sparse matrix, found {type(matrix).__name__}")
        csr = matrix.tocsr().astype(np.float64)  # duplicates add up, and must not wrap around
        csr.sum_duplicates()
        csr.eliminate_zeros()
        if not (csr.data == 1).all():
            raise EventsError("sparse spikes: expected only ones, found other values")
        csr.sort_indices()
        return cls(grid, csr.shape[1], csr.indptr, csr.indices, heads)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SpikeEvents):
            return NotImplemented
        return (
            self.shape == other.shape
            and np.array_equal(self.offsets, other.offsets)
            and np.array_equal(self.channels, other.channels)
        )

    __hash__ = None  # type: ignore[assignment]  # compared by value

    def __repr__(self) -> str:
        return f"SpikeEvents(shape={self.shape}, n_events={self.n_events:,}, firing_rate={self.firing_rate:.4f})"


@dataclass(frozen=True)
class Tile:
    """What a kernel wrote for one range of positions.

    Attributes
    ----------
    per_row : int64[T, n], events of each row
    channels : uint16[n_events], in order of (time step, position, channel)
    """

    per_row: np.ndarray
    channels: np.ndarray


def _frozen(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    copy = np.array(array, dtype)
    copy.setflags(write=False)
    return copy


def _as_array(name: str, value: Any, axes: int) -> np.ndarray:
    """What NumPy makes of a value of at most so many axes."""
    if is_nested(value, axes):
        raise EventsError(f"{name}: expected an array of at most {axes} axes, found more")
    try:
        return np.asarray(value)
    except Exception as error:  # ragged lists, tensors of a GPU: whatever the source raises
        raise EventsError(f"{name}: expected an array ({error})") from None


def _whole_number(name: str, value: object) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise EventsError(f"{name}: expected whole numbers, found {shown(value)}") from None


def _grid(value: Any) -> tuple[int, ...]:
    try:
        axes = len(value)
    except TypeError:
        axes = 0
    if axes not in (2, 4):
        raise EventsError(f"grid: expected (T, B, H, W) or (T, B), found {shown(value)}")
    return tuple(_whole_number("grid", length) for length in value)


def _check_heads(heads: int, n_channels: int) -> None:
    if heads < 1 or n_channels % heads:
        raise EventsError(f"heads: expected a divisor of {n_channels} channels, found {shown(heads)}")


def _validate(events: SpikeEvents) -> None:
    """Raise EventsError unless the list is canonical."""
    grid = events.grid
    offsets, channels = _as_array("offsets", events.offsets, 1), _as_array("channels", events.channels, 1)
    if min(grid) < 1:
        raise EventsError(f"grid: expected (T, B, H, W) or (T, B), all positive, found {shown(grid)}")
    if not 1 <= events.n_channels <= MAX_CHANNELS:
        raise EventsError(f"n_channels: expected 1 to {MAX_CHANNELS}, found {shown(events.n_channels)}")
    if events.heads is not None:
        _check_heads(events.heads, events.n_channels)
    for name, array in (("offsets", offsets), ("channels", channels)):
        if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
            raise EventsError(
                f"{name}: expected one axis of integers, found {shown(array.dtype)} of shape {shown(array.shape)}"
            )
    rows = math.prod(grid)
    fits = len(offsets) == rows + 1 and int(offsets[-1]) == len(channels)  # before anything is copied
    offsets, channels = (each.astype(np.int64) if fits else each for each in (offsets, channels))
    if not fits or offsets[0] != 0 or (np.diff(offsets) < 0).any():
        raise EventsError(f"offsets: expected {rows + 1} values rising from 0 to {len(channels)} events")
    if channels.size and not (channels.min() >= 0 and channels.max() < events.n_channels):
        raise EventsError(
            f"channels: expected 0 to {events.n_channels - 1}, found {channels.min()} to {channels.max()}"
        )
    ascending = np.diff(channels) > 0
    starts = offsets[1:-1]
    ascending[starts[(starts > 0) & (starts < len(channels))] - 1] = True  # the first event of a row
    if not ascending.all():
        raise EventsError("channels: expected strictly ascending within each row, found a repeated or unsorted one")
