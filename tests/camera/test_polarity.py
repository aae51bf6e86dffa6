"""Two values of a whole file are OFF and ON, whatever they are called; what names no polarity is refused."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdt_ref.camera.polarity import Polarities, add_distinct, name_polarities
from sdt_ref.errors import RecordingError

NAMES: dict[str, tuple[Any, Any]] = {
    "0 and 1": (0, 1),
    "-1 and 1": (-1, 1),
    "1 and 2": (1, 2),
    "0 and 255": (0, 255),
    "False and True": (False, True),
    "-0.5 and 0.5": (-0.5, 0.5),
    "-3 and 1000000": (-3, 1_000_000),
}


def find_polarities(columns: Iterable[np.ndarray], name: str) -> Polarities:
    """Find OFF and ON among the polarities of a file, a chunk at a time."""
    found: list[float] = []
    for p in columns:
        add_distinct(found, p)
    return name_polarities(found, name)


@pytest.mark.parametrize("chunk", [1, 3, 8])
@pytest.mark.parametrize("names", NAMES)
def test_the_smaller_is_off_and_the_greater_is_on(names: str, chunk: int) -> None:
    on = np.array([1, 1, 1, 0, 1, 0, 0, 1], np.uint8)
    p = np.array(NAMES[names])[on]
    found = find_polarities((p[i : i + chunk] for i in range(0, 8, chunk)), "r")
    repairs: Counter[str] = Counter()
    decoded = [found.decode(p[i : i + chunk], repairs) for i in range(0, 8, chunk)]
    assert np.concatenate(decoded).tolist() == on.tolist()
    assert decoded[0].dtype == np.uint8
    told = {} if names in ("0 and 1", "False and True") else {f"polarities {names} taken as OFF and ON": 8}
    assert repairs == told


@pytest.mark.parametrize(("value", "name"), [(0, "OFF"), (1, "ON"), (True, "ON"), (0.0, "OFF")])
def test_0_or_1_alone_keeps_its_meaning_and_is_told(value: Any, name: str) -> None:
    repairs: Counter[str] = Counter()
    p = np.array([value] * 3)
    assert find_polarities([p, p], "r").decode(p, repairs).tolist() == [int(name == "ON")] * 3
    assert repairs == {f"polarities that are all {value:g} taken as {name}": 3}


def test_no_events_have_no_polarities() -> None:
    repairs: Counter[str] = Counter()
    for columns in ([], [np.zeros(0)]):
        assert find_polarities(columns, "r").decode(np.zeros(0), repairs).tolist() == []
    assert not repairs


@pytest.mark.parametrize(
    ("values", "listed"),
    [
        ([2, 2], "2"),
        ([-1], "-1"),
        ([255], "255"),
        ([0.5], "0.5"),
        ([1, 0, -1], "-1, 0, 1"),
        ([1, 0, 2, 0], "0, 1, 2"),
        (list(range(300)), "0, 1, 2, 3, ..."),
        ([1.0, np.nan], "1, nan"),
        ([np.nan], "nan"),
        ([0.0, np.inf], "0, inf"),
    ],
)
def test_what_names_no_polarity_is_refused(values: list[float], listed: str) -> None:
    message = rf"^recording 'r': expected two polarities, or 0 or 1 alone, found {listed}; write OFF as 0 and ON as 1$"
    with pytest.raises(RecordingError, match=message):
        find_polarities([np.array(values)], "r")


def test_a_third_value_may_come_last() -> None:
    chunks = [np.array([0, 1])] * 50 + [np.array([1, 0, 7])]
    with pytest.raises(RecordingError, match="found 0, 1, 7"):
        find_polarities(iter(chunks), "r")


@given(st.lists(st.sampled_from([-1, 0, 1, 2, 255]), max_size=12), st.integers(1, 5))
def test_the_cut_into_chunks_changes_nothing(values: list[int], chunk: int) -> None:
    kinds = sorted(set(values))
    columns = [np.array(values[i : i + chunk]) for i in range(0, len(values), chunk)]
    if len(kinds) > 2 or (len(kinds) == 1 and kinds[0] not in (0, 1)):
        with pytest.raises(RecordingError, match="expected two polarities"):
            find_polarities(columns, "r")
        return
    on = kinds[1] if len(kinds) == 2 else 1
    decoded = find_polarities(columns, "r").decode(np.array(values, np.int64), Counter())
    assert decoded.tolist() == [int(value == on) for value in values]
