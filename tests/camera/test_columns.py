"""What numbers of t, x, y and p mean is told by all of a file: polarities, the unit of times, the order of columns."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdt_ref.camera.naming import find_columns
from sdt_ref.camera.opening import open_recording
from sdt_ref.camera.recording import CHUNK, survey
from sdt_ref.errors import RecordingError
from tests import camera_bytes as made
from tests.camera_bytes import Event, listed
from tests.recordings import some_events

EVENTS = [(1_000, 1, 2, 1), (20_000, 3, 4, 0), (20_000, 5, 0, 1), (350_000, 0, 33, 0)]
Columns = dict[str, np.ndarray]


def _structured(columns: Columns) -> np.ndarray:
    array = np.zeros(len(columns["t"]), [(name, columns[name].dtype) for name in "xytp"])
    for name in "xytp":
        array[name] = columns[name]
    return array


def _rows(columns: Columns) -> np.ndarray:
    return np.stack([columns[name] for name in "txyp"], axis=1)


def _text(columns: Columns, between: str = " ", header: str = "") -> bytes:
    rows = zip(*(columns[name].tolist() for name in "txyp"), strict=True)
    return (header + "".join(between.join(map(str, row)) + "\n" for row in rows)).encode()


FORMATS: dict[str, Callable[[Columns], bytes]] = {
    "npz": lambda c: made.npz(**c),
    "npz, deflated": lambda c: made.npz(np.savez_compressed, **c),
    "npz, other names": lambda c: made.npz(pol=c["p"], ts=c["t"], Y=c["y"], X=c["x"]),
    "npz of a structured array": lambda c: made.npz(events=_structured(c)),
    "npz of rows": lambda c: made.npz(arr_0=_rows(c)),
    "npy, structured": lambda c: made.npy(_structured(c)),
    "npy of rows": lambda c: made.npy(_rows(c)),
    "npy of columns": lambda c: made.npy(np.asfortranarray(_rows(c))),
    "text": _text,
    "csv with a header": lambda c: _text(c, ",", "t,x,y,p\n"),
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("names", [(0, 1), (-1, 1), (1, 2), (0, 255), (False, True)])
def test_polarities_mean_the_same_whatever_they_are_called(format: str, names: tuple[int, int]) -> None:
    columns = made.columns(EVENTS)
    recording = open_recording(FORMATS[format](columns | {"p": np.array(names)[columns["p"]]}))
    assert listed(recording) == EVENTS
    told = {} if names == (0, 1) else {f"polarities {names[0]} and {names[1]} taken as OFF and ON": 4}
    assert recording.repairs == told


@pytest.mark.parametrize("format", FORMATS)
def test_a_third_polarity_anywhere_is_refused(format: str) -> None:
    n = CHUNK + 3
    columns = {"t": np.arange(n), "x": np.arange(n) % 7, "y": np.arange(n) % 5, "p": np.arange(n) % 2}
    assert survey(open_recording(FORMATS[format](columns))).on == n // 2
    columns["p"][-1] = -1
    with pytest.raises(RecordingError, match=r"(two polarities.*|polarities) -1, 0, 1"):
        survey(open_recording(FORMATS[format](columns)))


@pytest.mark.parametrize("format", FORMATS)
def test_the_second_polarity_may_come_after_the_first_chunk(format: str) -> None:
    n = CHUNK + 3
    columns = {"t": np.arange(n), "x": np.arange(n) % 7, "y": np.arange(n) % 5, "p": np.full(n, 1)}
    columns["p"][-1] = 2
    recording = open_recording(FORMATS[format](columns))
    assert survey(recording).on == 1
    assert recording.repairs == {"polarities 1 and 2 taken as OFF and ON": n}


# --- times ------------------------------------------------------------------------------------------------------------

IN_SECONDS = {"times taken as seconds": 3}


def of_times(t: Sequence[float]) -> Columns:
    return {"t": np.array(t), "x": np.array([1, 2, 3]), "y": np.array([3, 2, 1]), "p": np.array([0, 1, 0])}


@pytest.mark.parametrize(
    ("t", "expected", "told"),
    [
        ([10, 20, 30], [10, 20, 30], {}),  # integers are microseconds, however few
        ([2**62, 2**62 + 1, 2**62 + 5], [2**62, 2**62 + 1, 2**62 + 5], {}),
        ([10.0, 20.0, 1010.0], [10, 20, 1010], {}),
        ([0.25, 0.250001, 1.0], [250_000, 250_001, 1_000_000], IN_SECONDS),
        ([0.0, 1.5, 3600.0], [0, 1_500_000, 3_600_000_000], IN_SECONDS),
        ([7.0, 1468939993.067416, 1468939993.067417], None, "from 7 to 1468939993.06742"),
        ([1468939993.067416] * 2 + [1468939994.0], [1468939993067416] * 2 + [1468939994000000], IN_SECONDS),
        ([0.0, 1.5, 3600.5], None, "expected times whose unit is clear, found floats with fractions from 0 to 3600.5"),
        ([0.0, np.nan, 1.0], None, "expected numbers below 2.63 in column t, found nan to nan"),
        ([0.5, 2.0, np.inf], None, "found 0.5 to inf"),
        ([-0.5, 0.1, 0.2], None, "expected times from 0 us, found -500000 us"),
    ],
)
@pytest.mark.parametrize("format", FORMATS)
def test_the_unit_of_times(format: str, t: list[float], expected: list[int] | None, told: Any) -> None:
    recording = open_recording(FORMATS[format](of_times(t)))
    if expected is None:
        with pytest.raises(RecordingError, match=told):
            listed(recording)
        return
    assert [event[0] for event in listed(recording)] == expected
    assert recording.repairs == told


@pytest.mark.parametrize("format", FORMATS)
def test_whole_floats_within_a_millisecond_may_be_anything(format: str) -> None:
    """But in spikingjelly's own file, which always holds microseconds."""
    recording = open_recording(FORMATS[format](of_times([0.0, 1.0, 5.0])))
    if format in ("npz", "npz, deflated"):
        assert [event[0] for event in listed(recording)] == [0, 1, 5]
        assert not recording.repairs
        return
    with pytest.raises(RecordingError, match=r"floats without fractions from 0 to 5; write whole .* t_us, t_s$"):
        listed(recording)


@pytest.mark.parametrize(
    ("name", "unit", "expected"),
    [
        ("t_us", None, [0, 2, 5500]),
        ("t_ns", "nanoseconds", [0, 0, 5]),
        ("timestamp [ms]", "milliseconds", [0, 2_000, 5_500_000]),
        ("Time (s)", "seconds", [0, 2_000_000, 5_500_000_000]),
        ("t_sec", "seconds", [0, 2_000_000, 5_500_000_000]),
        ("ts", None, [0, 2, 5500]),
    ],
)
def test_a_name_may_tell_the_unit(name: str, unit: str | None, expected: list[int]) -> None:
    columns = of_times([0, 2, 5500])
    t = columns.pop("t")
    told = {} if unit is None else {f"times taken as {unit}": 3}
    for kind in (int, float):
        header = f"{name},x,y,p\n"
        rows = zip(t.astype(kind).tolist(), *(columns[key].tolist() for key in "xyp"), strict=True)
        text = header + "".join(",".join(map(str, row)) + "\n" for row in rows)
        recordings = [open_recording(made.npz(**{name: t.astype(kind)}, **columns)), open_recording(text.encode())]
        for recording in recordings:
            assert [event[0] for event in listed(recording)] == expected
            assert recording.repairs == told


def test_fractions_of_microseconds_are_rounded_where_the_name_tells_them() -> None:
    columns = {"t_us": [0.4, 1.6, 9e6], **{key: values for key, values in of_times([0, 0, 0]).items() if key != "t"}}
    assert [event[0] for event in listed(open_recording(made.npz(**columns)))] == [0, 2, 9_000_000]


@pytest.mark.parametrize("t", [[0, 1, 2**60], [0.0, 1.0, 2.0**60]])
def test_no_time_runs_over(t: list[float]) -> None:
    columns = {"t_ms": np.array(t), **{key: values for key, values in of_times(t).items() if key != "t"}}
    with pytest.raises(RecordingError, match=r"expected times below 2\^63 us in column t, found 1.15.*e\+18 ms"):
        listed(open_recording(made.npz(**columns)))


@given(st.lists(st.integers(0, 2**50), min_size=2, max_size=20).map(sorted))
def test_seconds_give_back_the_microseconds(t: list[int]) -> None:
    n = len(t)
    columns = {"t_s": np.array(t) / 1e6, "x": np.zeros(n, int), "y": np.zeros(n, int), "p": np.arange(n) % 2}
    assert [event[0] for event in listed(open_recording(made.npz(**columns)))] == t


# --- names and orders --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected", "unit"),
    [
        ("t x y p", "t x y p", None),
        ("p y x t", "t x y p", None),
        ("label Polarity Y ts X", "ts X Y Polarity", None),
        ("pol timestamps ys xs", "timestamps xs ys pol", None),
        ("time_us x y on", "time_us x y on", "us"),
        ("t ts x y p", "t x y p", None),  # names in full are preferred
        ("TimeStamp_ns x y p pol", "TimeStamp_ns x y p", "ns"),
        ("t x y", None, None),
        ("x y z p", None, None),
        ("", None, None),
    ],
)
def test_names_of_columns(names: str, expected: str | None, unit: str | None) -> None:
    found = find_columns(names.split())
    assert (None if found is None else (" ".join(found.columns), found.unit)) == (expected and (expected, unit))


def test_names_that_could_be_the_same_column_are_refused() -> None:
    with pytest.raises(RecordingError, match="expected one column of t, found 'ts' and 'time'"):
        find_columns(["ts", "time", "x", "y", "p"])


def in_order(order: str, events: Sequence[Event]) -> np.ndarray:
    return np.array(events)[:, ["txyp".index(name) for name in order]]


@pytest.mark.parametrize("order", ["txyp", "xytp", "xypt"])
def test_the_order_of_columns_without_names_is_the_only_one_that_fits(order: str) -> None:
    events = some_events()
    rows = in_order(order, events)
    told = {} if order == "txyp" else {f"columns taken as {', '.join(order)}": 60}
    for content in (made.npy(rows), made.npy(np.asfortranarray(rows.astype(float))), made.text(events, order)):
        recording = open_recording(content)
        assert listed(recording) == events
        assert recording.repairs == told


def test_the_usual_order_is_told_where_another_fits_too() -> None:
    """Few events, or all of one column of pixels, may be in several orders."""
    for rows in ([(3, 5, 1000, 1)], [(7, y, 100 * y, y % 2) for y in range(9)]):
        recording = open_recording(made.npy(np.array(rows)))
        assert listed(recording) == rows
        assert recording.repairs == {
            "columns taken as t, x, y, p": len(rows),
            **({"polarities that are all 1 taken as ON": 1} if len(rows) == 1 else {}),
        }


def test_two_numbers_are_no_polarities_if_no_program_writes_such() -> None:
    """Two events have two times, which would be polarities in another order."""
    events = [(10, 1, 2, 1), (20_000, 3, 4, 0)]
    recording = open_recording(made.npy(in_order("xypt", events)))
    assert listed(recording) == events
    assert recording.repairs == {"columns taken as x, y, p, t": 2}
    odd = some_events()
    rows = np.array([(t, x, y, 300 if p else -7) for t, x, y, p in odd])
    assert listed(open_recording(made.npy(rows))) == odd


@pytest.mark.parametrize("order", ["txyp", "xytp", "xypt"])
def test_a_few_times_may_run_backwards(order: str) -> None:
    events = some_events()
    events[10], events[11] = events[11], events[10]
    assert listed(open_recording(made.npy(in_order(order, events)))) == events


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (in_order("pxyt", some_events()), "times that run backwards in 1. of 60 rows in that order; name the columns"),
        (in_order("txyp", some_events()) * [1, 1, 10_000, 1], r"y from \d+ to \d+0000"),
        (in_order("txyp", some_events()) - [0, 40, 0, 0], r"x from -\d+ to -\d+"),
        (in_order("txyp", some_events()) / [1, 2, 1, 1], r"\d+.5 as x"),
        (in_order("txyp", some_events()) + [[0, 0, 0, k] for k in range(60)], r"polarities \d+, \d+, \d+, \d+ in"),
        (
            [[5, 5, 0, 0], [4, 6, 0, 0], [3, 7, 1, 1]],
            "times that run backwards in 2 of 3 rows in that order, and no other that alone",
        ),
    ],
)
def test_columns_of_no_clear_order_are_refused(rows: Any, message: str) -> None:
    with pytest.raises(RecordingError, match=rf"expected columns t, x, y, p, found {message}") as caught:
        listed(open_recording(made.npy(np.array(rows))))
    assert "\n" not in str(caught.value)
