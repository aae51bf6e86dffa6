"""A third machine, written from docs/fixed-point.md alone: Python's whole numbers, of any width, nothing of sdt_ref.

Engine and oracle share parameters, formats and roundings; whatever they get wrong together shows here. Numbers stand in
arrays of Python integers, [C, H, W] or [C]; spikes are arrays of bool.
"""

import math
import re
import tomllib
from typing import Any

import numpy as np

Keys = dict[str, Any]

DEFAULTS = tomllib.loads("""
input = { rounding = "half even", overflow = "saturate" }
weight = { bits = 8, scale = "channel", rounding = "half even" }
bias = { bits = 16, rounding = "half even" }
accumulator = { bits = 32 }
membrane = { bits = 16, fraction = 10, rounding = "half up", overflow = "saturate", leak_rounding = "half up" }
stream = { bits = 16, fraction = 10, rounding = "half up", overflow = "saturate" }
""")


FIRST_LAYER = {"weight": {"bits": 12}, "bias": {"bits": 24}}


class Overflow(Exception):
    """A register that declares an error did not hold its number."""


# --- section 1: registers ---------------------------------------------------------------------------------------------


def integers(values: Any) -> np.ndarray:
    """The same numbers, as Python's."""
    array = np.asarray(values)
    return np.array([int(value) for value in array.ravel()] + [None], object)[:-1].reshape(array.shape)


def dropped(n: np.ndarray, s: int, rounding: str) -> np.ndarray:
    """Drop s fraction bits; with s < 0, add some."""
    if s <= 0:
        return n * (1 << -s)
    if rounding == "floor":
        return n >> s
    if rounding == "half up":
        return (n + (1 << (s - 1))) >> s
    if rounding == "half even":
        return (n + (1 << (s - 1)) - 1 + ((n >> s) & 1)) >> s
    assert rounding == "toward zero"
    return (n + np.where(n < 0, (1 << s) - 1, 0)) >> s


def rounded(x: np.ndarray, rounding: str) -> np.ndarray:
    """Real numbers to whole ones."""
    below = np.floor(x)
    if rounding == "half up":
        return below + (x - below >= 0.5)
    return {"floor": below, "half even": np.rint(x), "toward zero": np.trunc(x)}[rounding]


def fitted(n: np.ndarray, bits: int, overflow: str | None) -> np.ndarray:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if overflow == "saturate":
        return np.minimum(np.maximum(n, low), high)
    if overflow == "wrap":
        return ((n - low) & ((1 << bits) - 1)) + low
    if ((n < low) | (n > high)).any():
        assert overflow == "error", "an overflow that should be impossible"
        raise Overflow
    return n


def entered(n: np.ndarray, fraction: np.ndarray | int, register: Keys, more: int = 0) -> np.ndarray:
    """Numbers [C, ...] with these fraction bits, one for all or one for each of C, enter a register, `more` bits wider."""
    per_channel = np.broadcast_to(fraction, len(n))
    moved = [
        dropped(row, int(f) - register["fraction"], register["rounding"])
        for row, f in zip(integers(n), per_channel, strict=True)
    ]
    return fitted(np.stack([np.asarray(row, object) for row in moved]), register["bits"] + more, register["overflow"])


def holds(values: np.ndarray, bits: int) -> bool:
    return bool(((values >= -(2.0 ** (bits - 1))) & (values <= 2.0 ** (bits - 1) - 1)).all())


# --- sections 2 and 3: formats and parameters ---------------------------------------------------------------------------


class Registers:
    def __init__(self, text: str, preprocessing: Any) -> None:
        self._file = tomllib.loads(text)
        self._preprocessing = preprocessing

    def __call__(self, stage: str, register: str) -> Keys:
        everywhere = self._file if register == "input" else self._file.get("default", {})
        own = self._file.get("stage", {}).get(stage, {})
        return {**self._default(stage, register), **everywhere.get(register, {}), **own.get(register, {})}

    def _default(self, stage: str, register: str) -> Keys:
        if register == "input":
            return {**DEFAULTS["input"], **self._input()}
        first = "patch_embed.proj_conv"
        declared = {**self._file.get("default", {}), **self._file.get("stage", {}).get(first, {})}
        if stage == first and not any(name in declared for name in ("weight", "bias", "accumulator")):
            return {**DEFAULTS[register], **FIRST_LAYER.get(register, {})}
        return DEFAULTS[register]

    def _input(self) -> Keys:
        p = self._preprocessing
        if p.frames:
            return {"bits": 16, "fraction": 6} if p.antialias else {"bits": 12, "fraction": 2}
        fraction = 7
        while fraction and any(max(m, 1 - m) / s * 2**fraction > 511 for m, s in zip(p.mean, p.std, strict=True)):
            fraction -= 1
        return {"bits": 10, "fraction": fraction}


class Layer:
    def __init__(self, tensors: dict[str, np.ndarray], module: str, registers: Registers) -> None:
        first, head = module == "patch_embed.proj_conv", module == "head"
        weight, bias, accumulator = (registers(module, name) for name in ("weight", "bias", "accumulator"))
        w = tensors[f"{module}.weight"].astype(np.float64)
        w = w.reshape(*w.shape, *(1,) * (4 - w.ndim))
        b = np.asarray(tensors.get(f"{module}.bias", np.zeros(len(w))), np.float64)
        if not head:
            norm = {
                part: tensors[f"{module.replace('conv', 'bn')}.{part}"].astype(np.float64)
                for part in ("weight", "bias", "running_mean", "running_var")
            }
            g = norm["weight"] / np.sqrt(norm["running_var"] + 1e-5)
            w, b = w * g[:, None, None, None], (b - norm["running_mean"]) * g + norm["bias"]
        p = registers("", "input")["fraction"] if first else 0

        def fits(o: int, f: int) -> bool:
            return holds(rounded(w[o] * 2.0**f, weight["rounding"]), weight["bits"]) and (
                "fraction" in bias or holds(rounded(b[o] * 2.0 ** (f + p), bias["rounding"]), bias["bits"])
            )

        if "fraction" in weight:
            f = np.full(len(w), weight["fraction"])
        else:
            f = np.array([max(k for k in range(-16, 21) if fits(o, k)) for o in range(len(w))])
            if head or weight["scale"] == "layer":
                f[:] = f.min()
        self.weight = rounded(w * 2.0 ** f[:, None, None, None], weight["rounding"]).astype(np.int64)
        self.fraction = f + p
        if "fraction" in bias:
            declared = integers(rounded(b * 2.0 ** bias["fraction"], bias["rounding"]))
            self.bias = entered(
                declared, bias["fraction"] - self.fraction, {**bias, "fraction": 0, "bits": 63, "overflow": None}
            )
        else:
            self.bias = integers(rounded(b * 2.0**self.fraction, bias["rounding"]))
        self._bits, self._overflow = accumulator["bits"], accumulator.get("overflow")

    def __call__(self, planes: list[np.ndarray], signed: bool = False) -> np.ndarray:
        """Sums [C_out, H, W] of planes of events, each bool[C_in, H, W]; `signed`: the last is the sign's."""
        inputs, height, width = planes[0].shape
        side = self.weight.shape[2]
        total = np.repeat(self.bias.astype(np.int64), height * width).reshape(-1, height, width)
        for p, plane in enumerate(planes):
            sign = -1 if signed and p == len(planes) - 1 else 1
            padded = np.pad(plane, ((0, 0), (side // 2,) * 2, (side // 2,) * 2))
            for ky, kx, c in np.ndindex(side, side, inputs):
                event = padded[c, ky : ky + height, kx : kx + width]
                if event.any():
                    total = total + sign * (self.weight[:, c, ky, kx, None, None] << p) * event
                    total = total if self._overflow is None else fitted(total, self._bits, self._overflow)
        return fitted(total, self._bits, self._overflow)


class Neurons:
    def __init__(
        self,
        tensors: dict[str, np.ndarray],
        module: str,
        registers: Registers,
        threshold: float,
        more: int,
        tokens: int,
    ) -> None:
        self._register, self._more = registers(module, "membrane"), more
        self._threshold = int(threshold * 2 ** self._register["fraction"]) * tokens
        if (leak := self._register.get("leak")) is not None:
            terms = re.findall(r"([+-]?)2\^-?(\d)", leak.replace(" ", ""))
            self._leak = sum((-1 if sign == "-" else 1) * 2 ** (8 - int(k)) for sign, k in terms)  # in units of 2^-8
        elif f"{module}.w" in tensors:
            self._leak = int(np.rint(256 / (1 + math.exp(-float(tensors[f"{module}.w"])))))
        else:
            self._leak = 128
        self._v: Any = 0

    def __call__(self, sums: np.ndarray, fraction: np.ndarray | int) -> dict[str, np.ndarray]:
        """One step; returns what is recorded of it."""
        x = entered(sums, fraction, self._register, self._more)
        h = self._v + dropped((x - self._v) * self._leak, 8, self._register["leak_rounding"])
        spikes = (h >= self._threshold).astype(bool)
        self._v = np.where(spikes, 0, h)
        return {"sum": sums, "x": x, "h": h, "spikes": spikes, "v": self._v}


# --- section 4: one step ------------------------------------------------------------------------------------------------


def pooled(x: np.ndarray, stride: int) -> np.ndarray:
    """OR, or maximum, over those of 3x3 that exist, on the last two axes."""
    height, width = x.shape[-2:]
    out = np.empty((*x.shape[:-2], -(-height // stride), -(-width // stride)), x.dtype)
    for y, column in np.ndindex(*out.shape[-2:]):
        top, left = max(y * stride - 1, 0), max(column * stride - 1, 0)
        out[..., y, column] = x[..., top : y * stride + 2, left : column * stride + 2].max(axis=(-2, -1))
    return out


class Machine:
    """The network on one sample.

    Attributes
    ----------
    records : by name 'STAGE/QUANTITY', of each time step the numbers [C, ...]
    """

    def __init__(
        self, tensors: dict[str, np.ndarray], config: Any, preprocessing: Any, formats: str, height: int, width: int
    ) -> None:
        self._registers, self._config = Registers(formats, preprocessing), config
        self._layers = {
            name.removesuffix(".weight"): Layer(tensors, name.removesuffix(".weight"), self._registers)
            for name in tensors
            if name.endswith(("conv.weight", "conv1.weight", "conv2.weight", "conv3.weight", "head.weight"))
        }
        self._depth = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("block."))
        n_tokens = height * width // 4 ** config.pooling_stat.count("1")
        more = math.ceil(math.log2(n_tokens))

        def neurons(module: str, threshold: float = 1, more: int = 0, tokens: int = 1) -> None:
            self._neurons[module] = Neurons(tensors, module, self._registers, threshold, more, tokens)

        self._neurons: dict[str, Neurons] = {}
        for number in ("", "1", "2", "3"):
            neurons(f"patch_embed.proj_lif{number}")
        for j in range(self._depth):
            for name in ("attn.shortcut", "attn.q", "attn.k", "attn.v", "mlp.fc1", "mlp.fc2"):
                neurons(f"block.{j}.{name}_lif")
            neurons(f"block.{j}.attn.talking_heads_lif", 0.5, more)
        neurons("head_lif", 1, more, n_tokens)
        self.records: dict[str, list[np.ndarray]] = {}

    @property
    def logit_fraction(self) -> int:
        return int(self._layers["head"].fraction[0])

    def step(self, frame: np.ndarray) -> np.ndarray:
        """Run one time step on pixels [C, H, W]; returns its logits, whole numbers."""
        register, pools = self._registers("", "input"), [digit == "1" for digit in self._config.pooling_stat]
        pixels = fitted(
            integers(rounded(frame * 2.0 ** register["fraction"], register["rounding"])),
            register["bits"],
            register["overflow"],
        )
        self._record("input", pixel=pixels)
        planes = [((pixels >> p) & 1).astype(bool) for p in range(register["bits"])]
        for n, number in enumerate(("", "1", "2")):
            s = self._weigh_and_fire(
                f"patch_embed.proj_conv{number}", planes, f"patch_embed.proj_lif{number}", signed=n == 0
            )
            planes = [pooled(s, 2) if pools[n] else s]
        u = self._stream("patch_embed.proj_conv3", planes[0])
        u = (pooled(u[0], 2), u[1]) if pools[3] else u
        u = self._stream("patch_embed.rpe_conv", self._fire("patch_embed.proj_lif3", *u), u)
        for j in range(self._depth):
            u = self._mlp(f"block.{j}.mlp", self._attention(f"block.{j}.attn", u))
        numbers, fraction = u
        s = self._fire("head_lif", numbers.reshape(len(numbers), -1).sum(axis=1), fraction)
        logits = self._layers["head"]([s.reshape(-1, 1, 1)]).ravel()
        self._record("head", sum=logits)
        return logits

    def _attention(self, module: str, u: tuple[np.ndarray, int]) -> tuple[np.ndarray, int]:
        s = self._fire(f"{module}.shortcut_lif", *u)
        q, k, v = (self._weigh_and_fire(f"{module}.{name}_conv", [s], f"{module}.{name}_lif") for name in "qkv")
        dvs, channels = self._config.dvs_mode, len(s)

        def over_tokens(spikes: np.ndarray) -> np.ndarray:  # [C, N], heads apart
            in_heads = spikes.reshape(self._config.num_heads, -1, spikes.shape[1])
            return pooled(in_heads, 1).reshape(spikes.shape) if dvs else spikes

        if dvs:
            k, v = pooled(k, 1), pooled(v, 1)
            self.records[f"{module}.k_lif/spikes"][-1], self.records[f"{module}.v_lif/spikes"][-1] = k, v
        kv = (k & v).reshape(channels, -1)
        self._record(f"{module}.kv", spikes=kv)
        mask = self._fire(f"{module}.talking_heads_lif", over_tokens(kv).sum(axis=1), 0)
        z = over_tokens(q.reshape(channels, -1) & mask[:, None])
        self._record(f"{module}.masked", spikes=z)
        return self._stream(f"{module}.proj_conv", z.reshape(s.shape), u)

    def _mlp(self, module: str, u: tuple[np.ndarray, int]) -> tuple[np.ndarray, int]:
        s, fc1 = self._fire(f"{module}.fc1_lif", *u), self._layers[f"{module}.fc1_conv"]
        if len(fc1.weight) == fc1.weight.shape[1]:
            u = self._stream(f"{module}.fc1_conv", s, u)
            s = self._fire(f"{module}.fc2_lif", *u)
        else:
            s = self._weigh_and_fire(f"{module}.fc1_conv", [s], f"{module}.fc2_lif")
        return self._stream(f"{module}.fc2_conv", s, u)

    def _weigh_and_fire(self, layer: str, planes: list[np.ndarray], neurons: str, signed: bool = False) -> np.ndarray:
        return self._fire(neurons, self._layers[layer](planes, signed), self._layers[layer].fraction)

    def _fire(self, module: str, sums: np.ndarray, fraction: np.ndarray | int) -> np.ndarray:
        held = self._neurons[module](sums, fraction)
        self._record(module, **held)
        return held["spikes"]

    def _stream(
        self, module: str, s: np.ndarray, residual: tuple[np.ndarray, int] | None = None
    ) -> tuple[np.ndarray, int]:
        layer, register = self._layers[module], self._registers(module, "stream")
        sums = layer([s])
        u = entered(sums, layer.fraction, register)
        if residual is not None:
            u = fitted(u + entered(*residual, register), register["bits"], register["overflow"])
        self._record(module, sum=sums, u=u)
        return u, register["fraction"]

    def _record(self, stage: str, **quantities: np.ndarray) -> None:
        for quantity, values in quantities.items():
            self.records.setdefault(f"{stage}/{quantity}", []).append(values)
