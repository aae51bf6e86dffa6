"""Spike-driven self-attention on Boolean tensors, as the claim words it: nothing of the engine is used."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

Size = tuple[int, int, int]  # T, N, C
Attend = Callable[[np.ndarray], np.ndarray]  # bool[T, B, h, N, d] -> bool[T, B, h, 1, d]

AT_ONCE = 1 << 14  # cases of a batch


def all_spikes(size: Size) -> Iterator[np.ndarray]:
    """Every Q, K and V of a size, in batches: bool[3, T, B, N, C]."""
    T, N, C = size
    bits = 3 * T * N * C
    for first in range(0, 1 << bits, AT_ONCE):
        numbers = np.arange(first, min(first + AT_ONCE, 1 << bits))
        spikes = (numbers[:, None] >> np.arange(bits) & 1).astype(bool)
        yield np.moveaxis(spikes.reshape(-1, 3, T, N, C), 0, 2)


def dense(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int, attends: Sequence[Attend], dvs_mode: bool
) -> list[np.ndarray]:
    """Attention on dense spikes, three times bool[T, B, N, C] -> uint8[T, B, C, 1, N]; K and V already pooled.

    As each of `attends` says; where all of them make the same mask, that is worked out once, and is the same array.
    """
    T, B, N, C = q.shape

    def split(s: np.ndarray) -> np.ndarray:  # -> [T, B, h, N, d]
        return s.reshape(T, B, N, heads, C // heads).swapaxes(2, 3)

    def masked(mask: np.ndarray) -> np.ndarray:
        z = split(q) & mask
        z = spread(z) if dvs_mode else z
        return official(z.swapaxes(2, 3).reshape(T, B, N, C))

    kv = split(k & v)
    counted = spread(kv) if dvs_mode else kv
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for attend in attends:
        mask = attend(counted)
        same = [z for other, z in found if np.array_equal(mask, other)]
        found.append((mask, same[0] if same else masked(mask)))
    return [z for _, z in found]


def any_token(kv: np.ndarray) -> np.ndarray:
    """OR over the tokens: bool[T, B, h, N, d] -> bool[T, B, h, 1, d]."""
    return np.asarray(kv.any(axis=3, keepdims=True))


def tokens_counted(kv: np.ndarray) -> np.ndarray:
    """Sum over the tokens: bool[T, B, h, N, d] -> int64[T, B, h, 1, d]."""
    return kv.sum(axis=3, keepdims=True, dtype=np.int64)


def spread(s: np.ndarray) -> np.ndarray:
    """OR over 3x3 of (token, channel within its head): bool[..., N, d] -> the same."""
    N, d = s.shape[-2:]
    padded = np.pad(s, [(0, 0)] * (s.ndim - 2) + [(1, 1), (1, 1)])
    return np.logical_or.reduce([padded[..., n : n + N, c : c + d] for n in range(3) for c in range(3)])


def official(s: np.ndarray) -> np.ndarray:
    """The axes of the official tensors: bool[T, B, N, C] -> uint8[T, B, C, 1, N]."""
    return s.swapaxes(2, 3)[:, :, :, None].astype(np.uint8)
