"""LIF and PLIF neurons: current in, spikes out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from .. import kernels
from ..fixed.quantise import FixedNeuron
from ..fixed.registers import WIDE, Fraction, Register, leak_steps, wider_by
from ..weights.folding import NeuronParameters
from .counting import Named
from .current import Current, Units, positions, scratch_shape, tile_size
from .events import CHANNEL, OFFSET, SpikeEvents, Tile
from .panels import in_panels, n_panels, out_of_panels
from .run import Run
from .stored import StoredCurrent

Step = Callable[[np.ndarray, int, slice, np.ndarray], None]


class Neuron:
    """A layer of leaky integrate-and-fire neurons with a hard reset, at rest at the start of every call.

    Parameters
    ----------
    module : official path, such as 'block.0.attn.q_lif'
    parameters : leak and threshold
    heads : set for the attention's neurons, whose official tensors split the channels into heads
    """

    def __init__(self, module: str, parameters: NeuronParameters, heads: int | None = None) -> None:
        self.module = module
        self.parameters = parameters
        self.heads = heads
        self._dynamics: FloatingPoint | FixedPoint = (
            FixedPoint(parameters) if isinstance(parameters, FixedNeuron) else FloatingPoint(parameters)
        )

    def __call__(self, current: Current, run: Run) -> SpikeEvents:
        """Step all neurons through all time steps: [T, B, H, W, C] current -> [T, B, C, H, W] spikes.

        Current and membranes exist one tile at a time, and only events leave it; a monitor can keep the currents.
        """
        T, n, C = current.grid[0], positions(current.grid), current.n_channels
        size = tile_size(current, run)
        P, kept = n_panels(C), None
        overflows: list[np.ndarray] = []  # one per thread
        if run.monitor.wants_numbers:
            kept = np.empty((P, T, n, kernels.PANEL), current.dtype)

        def worker() -> Callable[[int, int], Tile]:
            fill = current.filler(size)
            scratch = kernels.aligned(scratch_shape(current, size), current.dtype)
            overflows.append(np.zeros(T, np.int64))
            step = self._dynamics.stepper(current, overflows[-1])
            fired = kernels.aligned((P, T, size), np.uint64)
            channels = np.empty(T * size * C + kernels.SLACK, CHANNEL)
            per_row = np.empty((T, size), OFFSET)

            def pull(first: int, count: int) -> Tile:
                for p in range(0, P, len(scratch)):
                    panels = slice(p, min(p + len(scratch), P))
                    x = scratch[: panels.stop - p]
                    fill(panels, first, count, x, 0)
                    if kept is not None:
                        kept[panels, :, first : first + count] = x[:, :, :count]
                    step(x, count, panels, fired[panels])
                n_events = kernels.list_events(fired, count, channels, per_row)
                return Tile(per_row[:, :count].copy(), channels[:n_events].copy())

            return pull

        tiles = run.tiles.work(n, size, worker)
        current.finish(run)
        if kept is not None:
            inputs = self._official_axes(self._dynamics.inputs(current, kept).reshape(*current.grid, C))
            sums = None
            if current.units is not None:
                sums = self._official_axes(out_of_panels(kept, C).astype(WIDE).reshape(*current.grid, C))
            run.monitor.add_neurons(self.module, inputs, sums)
        spikes = SpikeEvents.from_kernel(current.grid, C, tiles)
        run.counter.add(self._rule, n * C, spikes.step_offsets())
        self._dynamics.finish(self.module, current, overflows, run)
        return spikes

    def counts(self, count: np.ndarray, tokens: int) -> StoredCurrent:
        """The number of spikes over so many tokens as the current of these neurons: int64[T, B, C] -> [T, B, C]."""
        return StoredCurrent(count.shape[:2], count.shape[2], *self._dynamics.counts(in_panels(count), tokens))

    def _rule(self, time_steps: int, neurons: int, offsets: np.ndarray) -> Iterable[Named]:
        """Each neuron is compared with its threshold once a time step, and leaks; offsets : of the steps of spikes."""
        yield ("threshold", self.module), {"comparisons": neurons, "events": np.diff(offsets), "neurons": neurons}
        yield ("leak", self.module), {field: neurons * n for field, n in self._dynamics.leak_operations.items()}

    def _official_axes(self, current: np.ndarray) -> np.ndarray:
        if self.heads is None:
            return np.moveaxis(current, -1, 2)
        T, B, C = current.shape
        return current.reshape(T, B, self.heads, 1, C // self.heads)


class FloatingPoint:
    """Membranes in floating point: h = v + (x - v) * leak."""

    leak_operations: Mapping[str, int] = MappingProxyType({"ac": 1, "mac": 1})  # a subtraction; a product that is added

    def __init__(self, parameters: NeuronParameters) -> None:
        self.leak = parameters.leak
        self.threshold = parameters.threshold

    def stepper(self, current: Current, overflows: np.ndarray) -> Step:
        """Make step(x, count, panels, fired), with scratch of its own; see `kernels.lif_steps`."""
        membrane = kernels.aligned(kernels.PANEL, current.dtype)

        def step(x: np.ndarray, count: int, panels: slice, fired: np.ndarray) -> None:
            kernels.lif_steps(x, count, self.leak, self.threshold, membrane, fired)

        return step

    def inputs(self, current: Current, panels: np.ndarray) -> np.ndarray:
        """[P, T, n, PANEL] currents as the neurons see them, [T, n, C]."""
        return out_of_panels(panels, current.n_channels)

    def counts(self, panels: np.ndarray, tokens: int) -> tuple[np.ndarray, None]:
        """Whole numbers in this arithmetic, and their units."""
        return panels.astype(self.threshold.dtype), None

    def finish(self, module: str, current: Current, overflows: Sequence[np.ndarray], run: Run) -> None:
        """No register is entered."""


class FixedPoint:
    """Membranes in registers: h = v + (x - v) shifted and rounded."""

    def __init__(self, parameters: FixedNeuron) -> None:
        self.threshold = int(parameters.threshold)
        self.register = Register(parameters.membrane, parameters.dtype)
        self._leak = parameters.leak_terms, parameters.leak_rounding

    def stepper(self, current: Current, overflows: np.ndarray) -> Step:
        """Make step(x, count, panels, fired), with scratch of its own; see `kernels.lif_steps_fixed`."""
        units = current.units
        assert units is not None
        dtype = WIDE if units.tokens > 1 else self.register.dtype
        rescaling = self.register.rescaling(units.fraction, current.dtype, wider_by(units.tokens))
        leak = leak_steps(*self._leak, dtype)
        threshold = self.threshold * units.tokens if units.mean else self.threshold
        input_, membrane = kernels.aligned((2, kernels.PANEL), dtype)

        def step(x: np.ndarray, count: int, panels: slice, fired: np.ndarray) -> None:
            shifts = rescaling.shifts[panels]
            kernels.lif_steps_fixed(
                x,
                count,
                shifts,
                rescaling.plain,
                *rescaling.limits,
                *leak,
                threshold,
                input_,
                membrane,
                fired,
                overflows,
            )

        return step

    def inputs(self, current: Current, panels: np.ndarray) -> np.ndarray:
        """[P, T, n, PANEL] numbers as the neurons see them, in units of the membrane: int64[T, n, C]."""
        units = current.units
        assert units is not None
        rescaling = self.register.rescaling(units.fraction, current.dtype, wider_by(units.tokens))
        x, scratch = kernels.aligned(panels.shape, WIDE), kernels.aligned(kernels.PANEL, WIDE)
        no_residual, none = x[:, :, :0], np.zeros((len(x), kernels.STEPS, kernels.PANEL), WIDE)
        overflows = np.zeros(x.shape[1], np.int64)
        kernels.requantise(
            panels,
            x.shape[2],
            rescaling.shifts,
            rescaling.plain,
            no_residual,
            none,
            *rescaling.limits,
            scratch,
            x,
            0,
            overflows,
        )
        return out_of_panels(x, current.n_channels)

    def counts(self, panels: np.ndarray, tokens: int) -> tuple[np.ndarray, Units]:
        """See FloatingPoint."""
        return panels, Units(Fraction.uniform(0, len(panels)), tokens=tokens)

    @property
    def leak_operations(self) -> Mapping[str, int]:
        """Of one update: a subtraction, and the leak's terms, shifted and added."""
        terms, _ = self._leak
        return {"ac": 1 + len(terms), "shifts": sum(k > 0 for _, k in terms)}

    def finish(self, module: str, current: Current, overflows: Sequence[np.ndarray], run: Run) -> None:
        """Enter the currents that were brought to the membrane's fraction bits, and what did not fit."""
        assert current.units is not None
        moved = self.register.moved(current.units.fraction, current.n_channels)
        run.count_other("register", module, shifts=positions(current.grid) * moved)
        run.count_overflows(f"{module}.membrane", np.sum(overflows, axis=0))


def is_or(parameters: NeuronParameters, tokens: int = 1) -> bool:
    """Whether an attention's neurons fire exactly where the count over so many tokens is not zero, and so are an OR.

    They are stepped once on every count, in their own arithmetic: with its registers and its rounding.
    """
    counts = np.arange(tokens + 1)[None, :, None]  # [T, B, C]
    neuron = Neuron("", parameters)
    fired = neuron(neuron.counts(counts, tokens), Run(1, 1))
    return np.array_equal(np.diff(fired.offsets), counts.ravel() > 0)
