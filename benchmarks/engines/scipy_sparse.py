"""SciPy's general sparse products: spikes as CSR matrices times dense weights, and NumPy for all else.

Both release Python's lock, so chunks of image rows run on a pool of threads.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import sparse

from sdt_ref.weights.arithmetic import arithmetic
from sdt_ref.weights.file import Weights
from sdt_ref.weights.folding import fold

from .engine import Engine

CHUNK_ROWS = 2048  # rows of the sparse matrix that one task makes
CHUNK_NEURONS = 1 << 16  # whose currents and membranes stay in a core's cache


class Network:
    """The network on tensors [T, B, H, W, C], spikes boolean, currents float32."""

    def __init__(self, weights: Weights, threads: int) -> None:
        self.config, self.depth, self.threads = weights.config, weights.architecture.depth, threads
        self.layers = {}
        for name, layer in fold(weights, arithmetic("float32")).layers.items():
            rows = layer.weight.transpose(2, 3, 1, 0).reshape(-1, len(layer.weight))
            self.layers[name] = np.ascontiguousarray(rows), layer.bias, layer.weight.shape[-1]

    def __call__(self, x: np.ndarray, record: Callable[..., np.ndarray] = lambda s, heads=0: s) -> np.ndarray:
        """Images [B, 3, H, W] -> logits [B, K]; `record` is handed all spikes."""
        with ThreadPoolExecutor(self.threads) as pool:
            T, heads, stem = self.config.time_steps, self.config.num_heads, "patch_embed.proj_conv"

            def synapse(name: str, s: np.ndarray) -> np.ndarray:
                return self.synapse(pool, name, s)

            u = np.broadcast_to(current := synapse(stem, np.moveaxis(x, 1, -1)[None]), (T, *current.shape[1:]))
            for stage in range(3):
                s = record(fire(pool, u))
                u = synapse(f"{stem}{stage + 1}", shrink(s) if self.config.pools[stage] else s)
            u = shrink(u) if self.config.pools[3] else u
            u = synapse("patch_embed.rpe_conv", record(fire(pool, u))) + u
            for j in range(self.depth):
                s = record(fire(pool, u))
                q, k, v = (record(fire(pool, synapse(f"block.{j}.attn.{p}_conv", s))) for p in "qkv")
                mask = record(k & v, heads).any((2, 3), keepdims=True)  # a count of at least 1 fires the neuron
                z = record(q & record(mask, heads), heads)
                u = synapse(f"block.{j}.attn.proj_conv", z) + u
                hidden = record(fire(pool, synapse(f"block.{j}.mlp.fc1_conv", record(fire(pool, u)))))
                u = synapse(f"block.{j}.mlp.fc2_conv", hidden) + u
            s = record(fire(pool, u.mean((2, 3), keepdims=True)))
            return synapse("head", s).mean(0)[:, 0, 0]

    def synapse(self, pool: ThreadPoolExecutor, name: str, s: np.ndarray) -> np.ndarray:
        """What a layer delivers: [T, B, H, W, C_in] -> [T, B, H, W, C_out]."""
        weight, bias, window = self.layers[name]
        T, B, H, W, _ = s.shape
        images = s.reshape(T * B, H, W, -1)
        if window == 3:
            images = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
        out = np.empty((T * B, H, W, len(bias)), np.float32)
        high = max(1, CHUNK_ROWS // W)

        def task(place: tuple[int, int]) -> None:
            image, top = place
            band = images[image, top : top + high + window - 1]
            product = patches(band, window) @ weight
            product += bias
            out[image, top : top + high] = product.reshape(-1, W, len(bias))

        list(pool.map(task, itertools.product(range(T * B), range(0, H, high))))
        return out.reshape(T, B, H, W, -1)


def patches(band: np.ndarray, window: int) -> sparse.csr_array:
    """What each pixel's window reads: [h, w, C] -> sparse [pixels, window * window * C]; 3x3 leaves out the border."""
    h, w, C = band.shape
    pixels = as_csr(band.reshape(-1, C))
    if window == 1:
        return pixels
    places = np.arange(h * w).reshape(h, w)
    taps = [pixels[places[i : h - 2 + i, j : w - 2 + j].ravel()] for i in range(3) for j in range(3)]
    return sparse.hstack(taps, format="csr")


def as_csr(dense: np.ndarray) -> sparse.csr_array:
    """A matrix without its zeros."""
    starts = np.zeros(len(dense) + 1, np.int32)
    np.cumsum(np.count_nonzero(dense, axis=1), out=starts[1:])
    columns = np.nonzero(dense)[1].astype(np.int32)
    values = np.ones(len(columns), np.float32) if dense.dtype == bool else dense[dense != 0]
    return sparse.csr_array((values, columns, starts), dense.shape)


def fire(pool: ThreadPoolExecutor, current: np.ndarray, threshold: float = 1.0) -> np.ndarray:
    """LIF neurons, step by step: currents [T, ...] -> spikes."""
    steps = current.reshape(len(current), -1)
    spikes = np.empty(steps.shape, bool)

    def task(first: int) -> None:
        chunk = slice(first, first + CHUNK_NEURONS)
        h = steps[0, chunk] * np.float32(0.5)
        for t, s in enumerate(spikes):
            if t:
                h += (steps[t, chunk] - h) * np.float32(0.5)
            np.greater_equal(h, threshold, out=s[chunk])
            h[s[chunk]] = 0

    list(pool.map(task, range(0, steps.shape[1], CHUNK_NEURONS)))
    return spikes.reshape(current.shape)


def shrink(x: np.ndarray) -> np.ndarray:
    """Maximum over 3x3 pixels, stride 2: [T, B, H, W, C] -> [T, B, H/2, W/2, C]."""
    low = False if x.dtype == bool else -np.inf
    x = np.pad(x, ((0, 0), (0, 0), (1, 0), (1, 0), (0, 0)), constant_values=low)
    x = np.maximum(np.maximum(x[:, :, :-2:2], x[:, :, 1:-1:2]), x[:, :, 2::2])
    return np.maximum(np.maximum(x[:, :, :, :-2:2], x[:, :, :, 1:-1:2]), x[:, :, :, 2::2])


def make(name: str, weights: Weights, _x: np.ndarray, threads: int) -> Engine:
    """Fold the weights."""
    network = Network(weights, threads)

    def spikes(x: np.ndarray) -> list[np.ndarray]:
        hooks: list[np.ndarray] = []

        def record(s: np.ndarray, heads: int = 0) -> np.ndarray:
            T, B, H, W, _ = s.shape
            shown = s.reshape(T, B, H * W, heads, -1).swapaxes(2, 3) if heads else np.moveaxis(s, -1, 2)
            hooks.append(shown.astype(np.uint8))
            return s

        network(x, record)
        hooks[-1] = hooks[-1][..., 0, 0]  # the head's neurons have no tokens
        return hooks

    return Engine(name, "float32", network, spikes)
