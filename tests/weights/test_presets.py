"""The official configurations, parameter counts and class names."""

import numpy as np

from sdt_ref.weights.config import ModelConfig, Preprocessing
from sdt_ref.weights.presets import PRESETS, class_names, published_folders
from sdt_ref.weights.tensors import infer, tensor_shapes


def test_official_parameter_counts() -> None:
    """The tensors of every published size, less buffers, plus the unread talking heads: the official totals."""
    published = {"sdt-8-384": 16_816_536, "sdt-6-512": 23_373_736, "sdt-8-512": 29_689_896, "sdt-10-512": 36_006_056,
                 "sdt-8-768": 66_339_144, "sdt-2-256-cifar10": 2_567_082, "sdt-2-512-cifar10": 10_233_546,
                 "sdt-2-512-cifar10-tet": 10_233_546, "sdt-2-256-cifar100": 2_590_212, "sdt-2-512-cifar100": 10_279_716,
                 "sdt-2-256-cifar10-dvs": 2_566_794, "sdt-2-256-gesture-t16": 2_567_051,
                 "sdt-2-256-gesture-t10": 2_567_051}  # fmt: skip
    assert set(published) == set(PRESETS)
    for name, total in published.items():
        preset = PRESETS[name]
        table = tensor_shapes(preset.architecture)
        parameters = sum(int(np.prod(shape)) for tensor, shape in table.items() if "running" not in tensor)
        assert parameters + 64 * preset.depth == total, name
        assert infer(table).dim == preset.dim


CIFAR10 = Preprocessing(32, 1.0, "bicubic", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
CIFAR100 = Preprocessing(32, 1.0, "bicubic", (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))
IMAGENET = Preprocessing(224, 0.95, "bicubic", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), large_valid=True)


# name: dim, depth, in_channels, classes; T, pooling_stat, heads, dvs_mode, TET; preprocessing
OFFICIAL = {
    "sdt-8-384": ((384, 8, 3, 1000), (4, "1111", 8, False, False), IMAGENET),
    "sdt-6-512": ((512, 6, 3, 1000), (4, "1111", 8, False, False), IMAGENET),
    "sdt-8-512": ((512, 8, 3, 1000), (4, "1111", 8, False, False), IMAGENET),
    "sdt-10-512": ((512, 10, 3, 1000), (4, "1111", 8, False, False), IMAGENET),
    "sdt-8-768": ((768, 8, 3, 1000), (4, "1111", 8, False, False), IMAGENET),
    "sdt-2-256-cifar10": ((256, 2, 3, 10), (4, "0011", 8, False, False), CIFAR10),
    "sdt-2-512-cifar10": ((512, 2, 3, 10), (4, "0011", 8, False, False), CIFAR10),
    "sdt-2-512-cifar10-tet": ((512, 2, 3, 10), (4, "0011", 8, False, True), CIFAR10),
    "sdt-2-256-cifar100": ((256, 2, 3, 100), (4, "0011", 8, False, False), CIFAR100),
    "sdt-2-512-cifar100": ((512, 2, 3, 100), (4, "0011", 8, False, False), CIFAR100),
    "sdt-2-256-cifar10-dvs": ((256, 2, 2, 10), (10, "0011", 8, True, True), Preprocessing(64, frames=True, sensor=128)),
    "sdt-2-256-gesture-t16": (
        (256, 2, 2, 11),
        (16, "0111", 8, False, False),
        Preprocessing(128, frames=True, sensor=128),
    ),
    "sdt-2-256-gesture-t10": (
        (256, 2, 2, 11),
        (10, "0111", 8, False, False),
        Preprocessing(128, frames=True, sensor=128),
    ),
}


def test_presets_are_the_official_configurations() -> None:
    assert list(PRESETS) == list(OFFICIAL)
    for name, (sizes, config, preprocessing) in OFFICIAL.items():
        preset, settings = PRESETS[name], dict(PRESETS[name].settings)
        made = {k: settings.pop(k) for k in ("time_steps", "pooling_stat", "num_heads", "dvs_mode", "TET")}
        a = preset.architecture
        assert (a.dim, a.depth, a.in_channels, a.num_classes) == sizes, name
        assert a.hidden == 4 * a.dim
        assert ModelConfig.from_mapping(made) == ModelConfig(*config), name
        assert Preprocessing.from_mapping(settings) == preprocessing, name


def test_class_names() -> None:
    imagenet, gesture = class_names("imagenet"), class_names("gesture")
    assert imagenet is not None
    assert (len(imagenet), len(set(imagenet)), imagenet[0], imagenet[999]) == (1000, 1000, "tench", "toilet tissue")
    assert published_folders("imagenet")["n02123045"] == "tabby" == imagenet[281]
    assert gesture is not None
    assert gesture[:3] == ("hand_clapping", "right_hand_wave", "other_gestures")
    assert list(published_folders("gesture").items())[1:4] == [
        ("1", "right_hand_wave"), ("10", "other_gestures"), ("2", "left_hand_wave")]  # fmt: skip
    assert published_folders("cifar10") == published_folders("nothing") == {}
    assert class_names("cifar10-dvs") == class_names("cifar10")
    assert class_names("nothing") is None
