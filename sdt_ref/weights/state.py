"""Which set of weights of a checkpoint is taken, and its tensors under their official names.

What the tensors claim is bounded by what the file holds before a number is read: a view may repeat one number, and a
packed entry unpack to a thousand times its size. Each storage is read whole, and once.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..errors import WeightsError, one_line, shown
from .made import Made, name_of
from .stored import Held, Tensor, as_tensor
from .tensors import MAX_CHANNELS, UNUSED
from .torch_file import is_module

BARE = "state_dict"  # the name of a set that is the file itself
KEYS = ("state_dict", "model", "net", "module", "model_state_dict")
AVERAGED = ("state_dict_ema", "model_ema")

# names that wrappers put before those of the network; those of PyTorch stand anywhere, the others in front
ANYWHERE = {"_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
IN_FRONT = ANYWHERE | {"model", "net"}

MOST_TENSORS = 50_000  # of a set of weights; the largest published model has about 300
LEAST_BOUND = 512 * 2**20  # bytes; twice the largest published model
MOST_PER_BYTE = 4  # bytes of numbers for each of the file; half types are widened to two

COUNTERS = ("num_batches_tracked", "total_ops", "total_params")  # of BatchNorm and thop, at every layer
BOOKKEEPING = re.compile(rf"n_averaged$|(.+\.)?({'|'.join(COUNTERS)})$")  # the first: swa_utils.AveragedModel


@dataclass(frozen=True)
class Chosen:
    """The set of weights that is taken.

    Attributes
    ----------
    key : its name in the file, a text or a number
    found : the names of all sets in the file
    state : name -> what stands for a tensor
    metric_of : the set that the file's `metric` was measured on; None without one, and where the file does not tell
    """

    key: str | int
    found: tuple[str, ...]
    state: Mapping[Any, Any]
    metric_of: str | None


@dataclass(frozen=True)
class Rounding:
    """What rounding to float32 changed: values, of how many, and the largest change relative to the value."""

    changed: int
    values: int
    largest: float


def choose(content: Mapping[Any, Any], key: str | None, ema: bool, path: Path) -> Chosen:
    """Choose a set of weights: the one asked for, else `state_dict`, else the only one.

    Raises WeightsError, which lists the sets, when there is none of that name, or several.
    """
    if 0 < len(content) <= MOST_TENSORS and all(as_tensor(value) is not None for value in content.values()):
        if key is None and not ema:
            return Chosen(BARE, (BARE,), content, None)
        raise WeightsError(
            f"checkpoint '{path}': expected '{key or AVERAGED[0]}', found a bare state_dict; leave it out"
        )
    sets = _sets(content)
    found = tuple(name_of(name) for name in sets)
    averaged = [name for name in AVERAGED if name in sets]
    if ema:
        key = averaged[0] if averaged else AVERAGED[0]
    elif key is None:
        key = _only(sets, path)
    if key not in sets:
        _refuse(content, found, key or BARE, path)
    measured = averaged[0] if averaged else key if len(sets) == 1 else None  # timm measures the averaged weights
    told = key if isinstance(key, int) else name_of(key)
    measured = measured if measured is None or isinstance(measured, int) else name_of(measured)
    return Chosen(told, found, sets[key], measured if "metric" in content else None)


def _sets(content: Mapping[Any, Any]) -> dict[Any, Any]:
    """Dictionaries of tensors, whatever their class; under a name that is not known, those of this network."""
    sets: dict[Any, Any] = {}
    seen: dict[int, bool | None] = {}  # a dictionary may stand under any number of names
    for name, value in content.items():
        items = value.items if isinstance(value, Made) else value
        if not isinstance(items, dict) or len(items) > MOST_TENSORS:
            continue
        if id(items) not in seen:
            seen[id(items)] = _is_of_this_network(items)
        ours = seen[id(items)]
        if ours or (ours is not None and name in (*KEYS, *AVERAGED)):
            sets[name] = items
    return sets


def _is_of_this_network(items: dict[Any, Any]) -> bool | None:
    """Whether a dictionary of tensors has names of this network; None where fewer than half of it are tensors."""
    if sum(as_tensor(tensor) is not None for tensor in items.values()) * 2 <= len(items):
        return None
    return any(official_name(name_of(name)).startswith(("patch_embed.", "block.")) for name in items)


def _only(sets: Mapping[Any, Any], path: Path) -> str:
    """The set to take where none is asked for."""
    if BARE in sets or not sets:
        return BARE
    candidates = [key for key in (*KEYS, *AVERAGED) if key in sets] or list(sets)
    if len(candidates) > 1:
        names = ", ".join(map(name_of, candidates))
        raise WeightsError(f"checkpoint '{path}': expected one set of weights, found {names}; choose one by --key NAME")
    return candidates[0]


def _refuse(content: Mapping[Any, Any], found: tuple[str, ...], key: str, path: Path) -> NoReturn:
    """Raise WeightsError that says what stands under a key in place of a set of weights, or which sets there are."""
    for name in (key, *KEYS):
        if is_module(content.get(name)):
            raise WeightsError(
                f"checkpoint '{path}': '{name}' is a pickled module ({content[name].of}); save its state_dict(), and "
                "convert that"
            )
    if key in content:
        raise WeightsError(f"checkpoint '{path}': expected '{key}' to hold tensors, found few or none in it")
    names = ", ".join(one_line(name_of(name), 40) for name in found or list(content)[:5]) or "nothing"
    remedy = "; choose one of these by --key NAME" if found else ""
    raise WeightsError(f"checkpoint '{path}': expected '{key}', found {names}{remedy}")


def official_name(name: str) -> str:
    """A tensor's name without those of wrappers: 'module._orig_mod.head.bias' -> 'head.bias'."""
    parts = name.split(".")
    while len(parts) > 1 and parts[0] in IN_FRONT:
        parts = parts[1:]
    return ".".join([parts[0], *(part for part in parts[1:] if part not in ANYWHERE)])


def tensors_of(state: Mapping[Any, Any]) -> tuple[dict[str, Tensor], list[str], int | None]:
    """The tensors that inference reads, the names of the others, and the number of heads if told.

    Raises WeightsError for what is no dense tensor of floating-point numbers, or stands twice.
    """
    tensors: dict[str, Tensor] = {}
    ignored: list[str] = []
    heads = None
    for full_name, value in state.items():
        name, tensor = official_name(name_of(full_name)), as_tensor(value)
        if tensor is None:
            found = shown(value) if isinstance(value, Made) else type(value).__name__
            raise WeightsError(f"tensor '{name}': expected a tensor, found {found}")
        if UNUSED.match(name):
            ignored.append(name)
            if name.endswith("talking_heads.weight"):
                heads = _heads(name, tensor, heads)
        elif BOOKKEEPING.match(name) and math.prod(tensor.shape) == 1:
            ignored.append(name)
        elif name in tensors:
            raise WeightsError(f"tensor '{name}' stands twice, with and without a prefix such as 'module.'")
        else:
            tensor.require_floats(name)
            tensors[name] = tensor
    return tensors, ignored, heads


def _heads(name: str, tensor: Tensor, heads: int | None) -> int:
    rows = tensor.shape[0] if tensor.shape else 0
    if rows not in ((heads,) if heads else range(1, MAX_CHANNELS)):
        raise WeightsError(f"tensor '{name}': expected as many rows as heads, in all blocks the same number")
    return rows


def as_float32(tensors: Mapping[str, Tensor], may_round: bool) -> tuple[dict[str, np.ndarray], Rounding | None]:
    """Read the numbers; float64 only if float32 holds it exactly, unless it may be rounded.

    Returns
    -------
    the tensors, and what rounding changed, None where there was nothing to round

    Raises WeightsError for values that must be rounded and may not be, or are beyond float32, and for a damaged file.
    """
    narrow: dict[str, np.ndarray] = {}
    changed, largest = 0, 0.0
    for name, wide in _read(tensors):
        with np.errstate(over="ignore", under="ignore"):
            narrow[name] = wide.astype(np.float32, copy=False)
        if narrow[name] is wide:
            continue
        differ = (narrow[name] != wide) & ~np.isnan(wide)
        if not differ.any():
            continue
        if not may_round:
            raise WeightsError(
                f"tensor '{name}': expected float32, found float64 values that float32 cannot hold exactly; "
                "--round-float64 rounds them, and tells how many"
            )
        if np.isinf(narrow[name]).sum() > np.isinf(wide).sum():
            raise WeightsError(f"tensor '{name}': expected values of float32's range, found {np.abs(wide).max():.3g}")
        changed += int(differ.sum())
        largest = max(largest, float((np.abs(narrow[name] - wide)[differ] / np.abs(wide[differ])).max()))
    rounding = Rounding(changed, sum(tensor.size for tensor in narrow.values()), largest) if changed else None
    return {name: narrow[name] for name in tensors}, rounding


def _read(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, np.ndarray]]:
    """Names and numbers, storage by storage."""
    for held, names in _by_storage(tensors):
        content = held.read()
        for name in names:
            yield name, tensors[name].read(name, content)


def _by_storage(tensors: Mapping[str, Tensor]) -> list[tuple[Held, list[str]]]:
    """What holds the numbers, and the names of the tensors that lie in it."""
    found: dict[int, tuple[Held, list[str]]] = {}
    for name, tensor in tensors.items():
        assert tensor.storage is not None
        held = tensor.storage.held
        found.setdefault(id(held), (held, []))[1].append(name)
    return list(found.values())


def require_held(tensors: Mapping[str, Tensor], size: int) -> None:
    """Raise WeightsError unless the numbers, and the storages that they lie in, are such as a file of this size holds.

    Both take at most LEAST_BOUND bytes, or MOST_PER_BYTE for each byte of the file.
    """
    numbers = sum(4 * math.prod(tensor.shape) for tensor in tensors.values())
    stored = sum(held.size for held, _ in _by_storage(tensors))
    bound = max(LEAST_BOUND, MOST_PER_BYTE * size)
    if max(numbers, stored) > bound:
        raise WeightsError(
            f"tensors: expected at most {bound:,} bytes of numbers in a file of {size:,}, "
            f"found {max(numbers, stored):,}"
        )
