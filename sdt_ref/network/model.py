"""The Spike-driven Transformer, event by event, as the paper's figure 2 draws it.

image -> patch splitting -> L x (attention, MLP) -> head -> logits
pixels       spikes         events in, membrane out    mean over T
"""

import contextlib
import dataclasses
import math
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine.monitor import Monitor
from ..engine.run import Run
from ..engine.synapse import PanelledLayer
from ..engine.tiles import MAX_THREADS, available_cores
from ..engine.token_parallel import token_parallel
from ..errors import ConfigError, FormatError, InputError, WeightsError, is_nested, shown
from ..fixed import formats as formats_file
from ..fixed.defaults import complete
from ..fixed.formats import Formats
from ..fixed.limits import refuse_overflows, refuse_wide_sums
from ..fixed.quantise import quantise
from ..inputs.arrays import as_frames
from ..inputs.reading import read
from ..result import ByName, Result
from ..weights import arithmetic as number_systems
from ..weights import file as weights_file
from ..weights.arithmetic import FIXED
from ..weights.config import is_int
from ..weights.file import Weights
from ..weights.folding import Layer, NeuronParameters, Parameters, fold
from ..weights.wiring import wiring
from .block import Block
from .head import Head, mean_steps
from .parts import Parts
from .sps import SpikingPatchSplitting


class SpikeDrivenTransformer:
    """The network with its weights folded, ready to run.

    Parameters
    ----------
    weights : as read by `sdt_ref.weights.load`
    arithmetic : 'float32', 'float64', or 'fixed' for whole numbers in registers
    threads : cores to use; None takes all that this process may use. The result does not depend on it, bit for bit.
    formats : of the registers, with 'fixed'; None takes the defaults, which also hold for what a file leaves out

    Attributes
    ----------
    config, architecture, preprocessing, classes : of the weights
    checked : whether the weights are known to be as they were written (see `weights.file.Weights`)
    threads, arithmetic, formats : as given, or the defaults

    Raises
    ------
    ConfigError
        an unknown arithmetic or number of threads; formats without arithmetic 'fixed'
    WeightsError
        folding overflows
    FormatError
        a register does not hold its parameters or may overflow undeclared
    """

    def __init__(
        self,
        weights: Weights,
        arithmetic: str = "float32",
        threads: int | None = None,
        formats: Formats | None = None,
    ) -> None:
        if not hasattr(weights, "tensors"):
            raise WeightsError(f"weights: expected what sdt_ref.weights.file.load returns, found {shown(weights)}")
        if formats is not None and not hasattr(formats, "stages"):
            raise FormatError(f"formats: expected what sdt_ref.fixed.formats.load returns, found {shown(formats)}")
        if threads is not None and not (is_int(threads) and 1 <= threads <= MAX_THREADS):
            raise ConfigError(f"threads: expected 1 to {MAX_THREADS}, found {shown(threads)}")
        self.config = weights.config
        self.architecture = weights.architecture
        self.preprocessing = weights.preprocessing
        self.classes = weights.classes
        self.checked = weights.checked
        self.threads = threads or available_cores()
        self.arithmetic = number_systems.arithmetic(arithmetic)
        if formats is not None and self.arithmetic is not FIXED:
            raise ConfigError(f"formats: expected arithmetic 'fixed' with them, found '{self.arithmetic.name}'")
        self.formats = complete(formats, weights.preprocessing)
        if self.arithmetic is FIXED:
            parameters: Parameters = quantise(weights, self.formats)
        else:
            parameters = fold(weights, self.arithmetic)
        self._folded = dataclasses.replace(parameters, layers={})  # all but the weights, which the layers hold
        parts = Parts(parameters)
        self.patch_embed = SpikingPatchSplitting(parts, self.config)
        self.blocks = [Block(j, parts, self.config) for j in range(self.architecture.depth)]
        self.head = Head(parts)
        self._layers = parts.layers
        stages = wiring(self.architecture, self.config)
        self._hooks = {name: stage.hook for name, stage in stages.items() if stage.hook}
        self._counted = {module: layer.name for module, layer in self._layers.items()}

    def __call__(self, x: Any, record: bool | str | Monitor = False) -> Result:
        """Run the network.

        Parameters
        ----------
        x : (B, C, H, W), a static image repeated over T, or (B, T, C, H, W), frames; any real type, normalised
        record : True keeps all spikes; "currents" keeps also the input current of every neuron layer; a Monitor
            takes them as they arise

        Raises
        ------
        InputError
            wrong rank, channels, type or size; NaN or infinite values
        ConfigError
            `record` is none of these
        FormatError
            a register that declares overflow 'error' overflows; sums over so many tokens outgrow 64 bits
        WeightsError
            the logits overflow
        """
        image, time_steps = self._checked(x)
        run = Run(time_steps, self.threads, Monitor.of(record))
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows shows in the logits
            u = self.patch_embed(image, run)  # [T, B, H', W', C] membrane stream
            u = token_parallel(self.blocks, u, run)  # L x (attention, MLP)
            logits = self.head(u, run)  # [T, B, K]
        return self._result(logits, run)

    def _checked(self, x: Any) -> tuple[np.ndarray, int]:
        """The input as the patch embedding reads it, [1 or T, B, C, H, W], and T."""
        image, time_steps = as_frames(x, self.architecture, self.config, self.arithmetic.dtype)
        if self.arithmetic is FIXED:
            n_tokens = math.prod(image.shape[-2:]) // self.config.size_divisor**2
            refuse_wide_sums(self._folded, self.architecture, self.formats, n_tokens)
        return image, time_steps

    def _result(self, logits: np.ndarray, run: Run) -> Result:
        refuse_overflows(run.overflows, self.formats)
        if not np.isfinite(logits).all():
            raise WeightsError(f"the logits overflow {self.arithmetic.name}; use arithmetic float64, or other weights")
        mean = mean_steps(logits, run, fixed=self.arithmetic is FIXED)
        return Result(
            mean,
            logits,
            ByName("spikes", run.monitor.spikes, self._hooks),
            ByName("currents", run.monitor.currents),
            run.counter.counts(self._counted),
            run.counter.stage_counts,
            streams=ByName("streams", run.monitor.streams),
            sums=ByName("sums", run.monitor.sums),
            overflows=ByName("overflows", run.overflows),
        )

    @property
    def neurons(self) -> Mapping[str, NeuronParameters]:
        """Leak and threshold of every neuron layer, by official path."""
        return ByName("neurons", self._folded.neurons)

    @property
    def weight_layers(self) -> Mapping[str, PanelledLayer]:
        """The weight layers as the kernels read them, by official path."""
        return ByName("layers", self._layers)

    def layer(self, module: str) -> Layer:
        """The folded weights of one layer, a copy: read back from where the kernels read them."""
        return ByName("layers", self._layers)[module].layer()

    def read_back(self) -> Parameters:
        """All folded parameters. Copies every weight, which takes as long as loading them: ask once."""
        layers = {module: layer.layer() for module, layer in self._layers.items()}
        return dataclasses.replace(self._folded, layers=layers)

    def __repr__(self) -> str:
        """What kind of network this is."""
        sizes, config = self.architecture, self.config
        reads = "recordings" if self.preprocessing.frames else "pictures"
        return (
            f"<SpikeDrivenTransformer {sizes.depth}-{sizes.dim}, {self.arithmetic.name}: {sizes.in_channels} channels "
            f"of {reads} at {self.preprocessing.size}x{self.preprocessing.size} -> {sizes.num_classes} classes, "
            f"T = {config.time_steps}, {sizes.spike_mode.upper()}>"
        )

    def warm_up(self) -> None:
        """Load or compile the kernels, by running the smallest image that the pools allow."""
        side = self.config.size_divisor
        with contextlib.suppress(FormatError, WeightsError):  # judged on the user's input, not on this one
            self(np.zeros((1, self.architecture.in_channels, side, side)))

    def predict(self, picture: Any, top: int = 5, repairs: Counter[str] | None = None) -> list[tuple[str, float]]:
        """Classify a picture; or, if the weights read an event camera, a recording.

        Parameters
        ----------
        picture : path, PIL image, or uint8 array (H, W, 3); (H, W) or (H, W, 4) where the weights read grey or RGBA; of
            a recording path or binary file
        top : how many classes to return, at most
        repairs : takes what was mended in it, or assumed of it, and how often

        Returns
        -------
        list of (class name, softmax of the logits), best first

        Raises
        ------
        InputError
            `top` is not 1 or more
        ImageError, RecordingError
            it cannot be read, or is not what the weights read
        """
        if not is_int(top) or top < 1:
            raise InputError(f"top: expected 1 or more, found {shown(top)}")
        x = read(picture, self.preprocessing, self.config.time_steps, repairs=repairs)
        return self.rank(self(x[None]).logits[0])[:top]

    def rank(self, logits: np.ndarray) -> list[tuple[str, float]]:
        """Class names with their softmax, best first; equal logits in label order. logits : [K].

        Raises InputError when they are not as many finite numbers as there are classes.
        """
        logits = _finite_logits(logits, len(self.classes))
        exponentials = np.exp((logits - logits.max()).astype(np.float64))
        scores = exponentials / exponentials.sum()
        order = np.argsort(-logits, kind="stable")
        return [(self.classes[k], float(scores[k])) for k in order]


def _finite_logits(logits: Any, n_classes: int) -> np.ndarray:
    """Logits as floats [K]."""
    try:
        found = np.asarray(None if is_nested(logits, 1) else logits)
    except Exception:  # ragged lists, tensors of a GPU: whatever the source raises
        found = np.asarray(None)
    if found.dtype.kind not in "fiu" or found.shape != (n_classes,) or not np.isfinite(found).all():
        raise InputError(
            f"logits: expected {n_classes} finite numbers along one axis, one for each class, found {shown(logits)}"
        )
    return found if found.dtype.kind == "f" else found.astype(np.float64)


def load(
    path: str | os.PathLike[str] | None = None,
    arithmetic: str = "float32",
    threads: int | None = None,
    formats: str | os.PathLike[str] | None = None,
) -> SpikeDrivenTransformer:
    """Load a network from a weights file; None loads the weights that ship with the package.

    Parameters
    ----------
    path : of the weights file, or the name of one that ships; None takes the default that ships
    arithmetic : 'float32', 'float64', or 'fixed' for whole numbers in registers
    threads : cores to use; None takes all that this process may use
    formats : a formats file, for arithmetic 'fixed'; None takes the default formats

    Raises
    ------
    WeightsError
        the file is not a weights file
    ConfigError
        an unknown arithmetic or number of threads; formats without arithmetic 'fixed'
    FormatError
        formats that cannot be read or do not hold the weights
    """
    registers = None if formats is None else formats_file.load(formats)
    return SpikeDrivenTransformer(weights_file.load(path), arithmetic, threads, registers)
