"""Settings that make no network are refused."""

import json

import pytest

from sdt_ref import ConfigError
from sdt_ref.weights.config import ModelConfig, Preprocessing


def test_config_errors_are_config_errors() -> None:
    with pytest.raises(ConfigError, match=r"'TET': expected true or false, found 'no'"):
        ModelConfig(4, "0011", 8, False, "no")  # type: ignore[arg-type]


def test_a_picture_has_as_many_channels_as_its_mean_has_numbers() -> None:
    for channels in (1, 3, 4):
        made = Preprocessing(8, mean=(0.5,) * channels, std=(0.5,) * channels)
        assert made.channels == channels
        assert Preprocessing.from_mapping(json.loads(made.to_json())) == made
    for mean, std in (((0.5,), (0.5,) * 3), ((0.5,) * 2, (0.5,) * 2), ((), ()), ((0.5,) * 5, (0.5,) * 5)):
        with pytest.raises(
            ConfigError, match=r"'mean': expected three finite numbers|'std': expected 1 numbers, as many"
        ):
            Preprocessing(8, mean=mean, std=std)


def test_what_older_files_say_of_pictures_is_read_as_before() -> None:
    before = {"size": 32, "crop_pct": 1.0, "interpolation": "bicubic", "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    made = Preprocessing.from_mapping({**before, "normalisation": "prefetcher", "large_valid": False})
    assert (made.mean, made.channels, made.frames) == ((0.1, 0.2, 0.3), 3, False)
    names = ["size", "crop_pct", "interpolation", "mean", "std", "normalisation", "large_valid", "frames", "sensor"]
    assert list(json.loads(made.to_json())) == [*names, "antialias"]
