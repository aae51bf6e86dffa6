"""Settings that make no network are refused."""

import pytest

from sdt_ref import ConfigError
from sdt_ref.weights.config import ModelConfig


def test_config_errors_are_config_errors() -> None:
    with pytest.raises(ConfigError, match=r"'TET': expected true or false, found 'no'"):
        ModelConfig(4, "0011", 8, False, "no")  # type: ignore[arg-type]
