"""Settings of a checkpoint that its tensors do not tell, and where each comes from.

The first source that names a setting wins: explicit settings, a YAML file of the official code, the checkpoint's own
`args`, a preset. Nothing is guessed: what is still missing is refused by name.
"""

import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import LONGEST_REASON, ConfigError, WeightsError, one_line, shown
from ..files import read_text
from .architecture import Architecture
from .config import TIMM_CROP_PCT, TIMM_INTERPOLATION, TIMM_MEAN, TIMM_STD, ModelConfig, Preprocessing, check, is_int
from .inert import plain, words
from .made import Made, Name, name_of
from .presets import DATASETS, base_dataset, preset

EXTRA = "in the folder of sdt_ref: pip install '.[convert]'"
DVS_DATASETS = ("cifar10-dvs",)  # the only one whose attention has the extra pools
FRAME_DATASETS = tuple(name for name, values in DATASETS.items() if "frames" in values)
PICTURE_CHANNELS = (1, 3, 4)  # grey, RGB, RGBA
MOST_YAML = 1 << 16  # bytes of a YAML file; the official ones have 3,000
MOST_PAIRS = 1000  # settings of a mapping in it, with what it merges
MOST_TOLD = 200  # objects in args that are shown as text
LONGEST_DATASET = 100  # characters of its name
OF_PICTURES = ("mean", "std", "crop_pct")  # settings that frames have no use for

# other spellings of a setting -> the official argument's name
ALIASES = {"T": "time_steps", "size": "img_size"}
TOLD_BY_TENSORS = ("dim", "layer", "in_channels", "num_classes", "mlp_ratio", "spike_mode")
SETTINGS = (
    "time_steps",
    "pooling_stat",
    "num_heads",
    "dvs_mode",
    "TET",
    "dataset",
    "img_size",
    "crop_pct",
    "interpolation",
    "mean",
    "std",
    "prefetcher",
    "no_prefetcher",
    "input_size",
    "sensor",
    "antialias",
)


class Lookup:
    """Settings from their sources, the first that names one winning."""

    def __init__(
        self,
        explicit: Mapping[str, Any],
        config: str | Path | None,
        args: Any,
        preset_name: str | None,
        architecture: Architecture,
    ) -> None:
        self.explicit = explicit = {ALIASES.get(k, k): v for k, v in explicit.items()}
        for name in explicit:
            if name in TOLD_BY_TENSORS:
                raise ConfigError(f"setting '{name}' follows from the tensors and cannot be set; leave it out")
            if name not in SETTINGS:
                raise ConfigError(f"unknown setting {shown(name)}; known: {', '.join(SETTINGS)}")
        self.layers: list[tuple[str, Mapping[str, Any]]] = [("--set", explicit)]
        if config is not None:
            self.layers.append(("--config", _read_yaml(Path(config))))
        self.as_text: dict[str, str] = {}
        if args is not None:
            self.layers.append(("args", self._of_args(args)))
        if preset_name is not None:
            self.layers.append(("--preset", _preset_settings(preset_name, architecture)))
        self.sources: dict[str, str] = {}

    def get(self, name: str, *default: Any) -> Any:
        """Value of a setting; ConfigError if no source names it and there is no default."""
        for source, values in self.layers:
            if name in values:
                self.sources[name] = source
                return values[name]
        if default:
            return default[0]
        raise ConfigError(
            f"setting '{name}' is missing: neither --set nor --config nor the checkpoint's args nor --preset gives it; "
            f"pass --set {name}=... or --preset NAME"
        )

    def _of_args(self, args: Any) -> Mapping[str, Any]:
        """The settings of a Namespace, a dictionary, or another class that has them as attributes or as items."""
        content = _held(args) if isinstance(args, Made) else args
        if not isinstance(content, dict):
            raise WeightsError(f"checkpoint 'args': expected a Namespace or a dictionary, found {type(args).__name__}")
        if not content and isinstance(args, Made):
            self.as_text["args"] = words(args)  # of a class that keeps them elsewhere
        objects = ((k, v) for k, v in content.items() if isinstance(v, (Made, Name)))
        self.as_text |= {name_of(k): words(v) for k, v in islice(objects, MOST_TOLD)}
        return {name_of(k): plain(v) if k in SETTINGS else None for k, v in content.items()}

    def ignored(self) -> list[str]:
        """Names in the YAML file and in args that nothing here reads."""
        known = {*SETTINGS, *TOLD_BY_TENSORS}
        unknown = {k for source, values in self.layers[1:] if source != "--preset" for k in values if k not in known}
        # and what was set in vain, such as a sensor for a network that reads pictures; num_heads tensors may tell
        unused = set(self.explicit) - set(self.sources) - {"num_heads"}
        return sorted(unknown | unused)


def _held(args: Made) -> dict[Any, Any]:
    """Attributes, slots and items of an object; if no setting is among them, the dictionary in it that has some."""
    parts = args.state[:2] if isinstance(args.state, tuple) else (args.state,)  # attributes, slots
    content: dict[Any, Any] = {}
    for part in (*parts, args.items):
        content |= part if isinstance(part, dict) else {}
    inside = (part for part in content.values() if isinstance(part, dict) and _is_of_settings(part))
    return content if _is_of_settings(content) else next(inside, content)


def _is_of_settings(content: Mapping[Any, Any]) -> bool:
    return any(name in content for name in SETTINGS)


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError:
        raise ConfigError(f"--config needs PyYAML, which is not installed: {EXTRA}") from None

    class Loader(yaml.SafeLoader):
        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            """Merge `<<`, by which a few lines can grow to any number of settings in older versions of PyYAML."""
            super().flatten_mapping(node)
            if len(node.value) > MOST_PAIRS:
                raise ValueError(f"more than {MOST_PAIRS} settings in one mapping")

    text = read_text(path, "config", ConfigError, MOST_YAML)
    try:
        values = yaml.load(text, Loader)
    except (
        yaml.YAMLError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        reason = one_line(str(error), LONGEST_REASON) or type(error).__name__  # PyYAML raises them all
        raise ConfigError(f"config '{path}': expected YAML, found {reason}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"config '{path}': expected names and values, found {type(values).__name__}")
    return {ALIASES.get(name_of(k), name_of(k)): v for k, v in values.items()}


def _preset_settings(name: str, architecture: Architecture) -> dict[str, Any]:
    chosen = preset(name)
    for size in ("dim", "depth", "in_channels", "num_classes", "hidden"):
        expected, found = getattr(chosen.architecture, size), getattr(architecture, size)
        if expected != found:
            raise ConfigError(
                f"preset '{name}': expected {size} {expected}, found {found} in the tensors; choose another preset, or "
                "give each setting by --set"
            )
    values = {ALIASES.get(k, k): v for k, v in chosen.settings.items()}
    return {"crop_pct": None, "interpolation": None, "mean": None, "std": None, **values, "dataset": chosen.dataset}


def dataset_of(lookup: Lookup) -> str:
    """The bare name of the data set, '' without; ConfigError for one whose input is not that of the official code."""
    name = lookup.get("dataset", None)
    text = name if isinstance(name, str) else shown(name) if name else ""
    number = isinstance(name, float) or (isinstance(name, int) and abs(name) < 1 << 64)
    named = name is None or isinstance(name, str) or number
    check(named and len(text) <= LONGEST_DATASET, "dataset", "a name", name)
    dataset = base_dataset(text)
    if dataset == "cifar10-dvs-tet":
        raise ConfigError(
            "data set 'cifar10-dvs-tet' is not supported: its official loader feeds 8-bit pictures from 0 to 1, not "
            "counts of events; --set dataset=cifar10-dvs runs the network on raw frames"
        )
    return dataset


def read_settings(lookup: Lookup, architecture: Architecture, heads: int | None) -> tuple[ModelConfig, Preprocessing]:
    """Settings of the network and of its input; `heads` as talking_heads.weight tells, None without it.

    Raises ConfigError for a setting that is missing, out of range, or contradicted by the tensors.
    """
    dataset = dataset_of(lookup)
    told = lookup.explicit.get("num_heads", heads)
    if heads is not None and told != heads:
        raise ConfigError(
            f"setting 'num_heads': expected {heads}, the rows of talking_heads.weight, found {shown(told)}"
        )
    dvs_mode = lookup.get("dvs_mode", dataset in DVS_DATASETS if dataset else None)
    config = ModelConfig(
        time_steps=lookup.get("time_steps"),
        pooling_stat=_pooling_stat(lookup.get("pooling_stat")),
        num_heads=heads if heads is not None else lookup.get("num_heads"),
        dvs_mode=dvs_mode if dvs_mode is not None else lookup.get("dvs_mode"),
        TET=lookup.get("TET"),
    )
    if _reads_frames(lookup, dataset, architecture.in_channels):
        sensor = lookup.get("sensor", DATASETS.get(dataset, {}).get("sensor"))
        antialias = lookup.get("antialias", False)
        return config, Preprocessing(size=_image_size(lookup), frames=True, sensor=sensor, antialias=antialias)
    prefetcher, no_prefetcher = lookup.get("prefetcher", True), lookup.get("no_prefetcher", False)
    check(isinstance(prefetcher, bool), "prefetcher", "true or false", prefetcher)
    check(isinstance(no_prefetcher, bool), "no_prefetcher", "true or false", no_prefetcher)
    return config, Preprocessing(
        size=_image_size(lookup),
        crop_pct=_or(lookup.get("crop_pct"), TIMM_CROP_PCT),
        interpolation=lookup.get("interpolation") or TIMM_INTERPOLATION,
        mean=_per_channel(lookup, "mean", TIMM_MEAN, architecture.in_channels),
        std=_per_channel(lookup, "std", TIMM_STD, architecture.in_channels),
        normalisation="to_tensor" if no_prefetcher or not prefetcher else "prefetcher",
        large_valid=dataset == "imagenet",
    )


def _image_size(lookup: Lookup) -> Any:
    """`input_size`, (channels, height, width), goes before `img_size`, as in timm; that may be two equal sizes."""
    input_size = lookup.get("input_size", None)
    if input_size is None:
        size = lookup.get("img_size")
        if not isinstance(size, (list, tuple)):
            return size
        equal = len(size) in (1, 2) and is_int(size[0]) and is_int(size[-1]) and size[0] == size[-1]
        check(equal, "img_size", "one size, or two that are equal", size)
        return size[0]
    listed = isinstance(input_size, (list, tuple)) and len(input_size) == 3
    square = listed and is_int(input_size[1]) and is_int(input_size[2]) and input_size[1] == input_size[2]
    check(square, "input_size", "(channels, size, size)", input_size)
    return input_size[1]


def _or(value: Any, default: Any) -> Any:
    """None means timm's default, as in the official code."""
    return default if value is None else value


def _reads_frames(lookup: Lookup, dataset: str, channels: int) -> bool:
    """Whether a network reads frames, not pictures: its data set says so; if none is named, its other settings."""
    if channels == 3 or dataset in FRAME_DATASETS:
        return dataset in FRAME_DATASETS
    if channels not in PICTURE_CHANNELS:
        return True
    told = any(values.get(name) is not None for _, values in lookup.layers for name in OF_PICTURES)
    return not dataset and not told


def _per_channel(lookup: Lookup, name: str, default: tuple[float, ...], channels: int) -> Any:
    """A number for each channel; a single one is that of all, as in timm."""
    value = _or(lookup.get(name), default[:1])
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    values = values * channels if len(values) == 1 else values
    number = {1: "one finite number", 3: "three finite numbers"}.get(channels, f"{channels} finite numbers")
    check(len(values) == channels, name, f"{number}, one for each channel of the input", value)
    return values


def _pooling_stat(value: Any) -> Any:
    """YAML and JSON read an unquoted 1111 as a number; but YAML reads one that begins with 0 in octal: 0011 is 9."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    meant = f"{value:04o}" if 0 <= value <= 0o111 else ""
    if meant and set(meant) <= {"0", "1"}:
        raise ConfigError(
            f"setting 'pooling_stat': expected four characters of 0 and 1, found {value}: YAML reads an unquoted "
            f'{meant} as the number {value} (octal); write pooling_stat: "{meant}", or --set pooling_stat={meant}'
        )
    return str(value) if 0 <= value <= 9999 else value


def parse_setting(text: str) -> tuple[str, Any]:
    """Read 'key=value' from the command line: JSON values, bare words as text.

    Raises ConfigError without '='.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"--set {shown(text)}: expected key=value, such as --set time_steps=4")
    if name == "pooling_stat":
        return name, value
    try:
        return name, json.loads(value.lower() if value.lower() in ("true", "false", "none") else value)
    except (ValueError, RecursionError):
        return name, None if value.lower() == "none" else value
