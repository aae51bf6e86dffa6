"""Each argument of the public functions, given what it is not: one line of an SdtError, and nothing is allocated."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sdt_ref
from sdt_ref.camera.opening import open_recording
from sdt_ref.cost.technology import TECHNOLOGIES, technology
from sdt_ref.errors import LONGEST, SdtError, is_nested, shown
from sdt_ref.explaining import look_into, observe
from sdt_ref.fixed import formats
from sdt_ref.fixed.formats import Formats
from sdt_ref.inputs.datasets import open_pictures
from sdt_ref.inputs.image import open_picture
from sdt_ref.inputs.recordings import open_recordings
from sdt_ref.measuring.attention_map import attention_maps
from sdt_ref.weights import file as weights_file

LAUGHS: list[Any] = ["ha"]
for _ in range(60):
    LAUGHS = [LAUGHS] * 9

PICTURE = np.zeros((1, 3, 32, 32), np.float32)
STRANGE: tuple[Any, ...] = (
    None, 3, -1, 0, 2, True, 1e300, float("nan"), float("inf"), 3.5, 1j, 10**5000, -(10**20),
    "", "\x1b]0;title\x07", "\udcff", "a\0b", "x" * 10**6, b"", b"\x93NUMPY", memoryview(b"abc"),
    [], {}, (), {1}, {"a": 1}, LAUGHS, [[1], [1, 2]], range(9), slice(1), object(), type, Ellipsis, lambda: 0,
    Path("absent"), Path(), Path("/dev/zero"), datetime.date(2020, 1, 1),
    np.float32(1), np.longdouble(1), np.datetime64("NaT"), np.str_("x"), np.array(3), np.zeros(0),
    np.array([None, 1], object), np.array(["2020"], "M8[D]"), np.zeros(3, [("a", "i4")]), np.array(["a"]),
    PICTURE.astype(complex), np.full_like(PICTURE, np.nan), PICTURE[:0], np.zeros((1, 3, 30, 30)),
    np.ma.masked_array([1.0]),
    np.broadcast_to(np.float32(0), (10**6, 3, 1024, 1024)),
    np.broadcast_to(np.uint8(0), (10**6, 10**6, 3)),
    np.broadcast_to(np.int64(0), (10**12,)),
)  # fmt: skip
FLAT, NONE = np.array([0, 0]), np.zeros(0, int)


def calls() -> dict[str, Callable[[Any], object]]:
    """Functions of one argument, by name."""
    model, shipped = sdt_ref.load(), weights_file.load()
    result, seen = model(PICTURE, record=True), observe(model, PICTURE)
    events, grey = sdt_ref.SpikeEvents((1, 1), 4, FLAT, NONE), np.zeros((32, 32, 3), np.uint8)
    return {
        "load: path": sdt_ref.load,
        "load: threads": lambda v: sdt_ref.load(threads=v),
        "load: formats": lambda v: sdt_ref.load(arithmetic="fixed", formats=v),
        "SpikeDrivenTransformer: weights": sdt_ref.SpikeDrivenTransformer,
        "SpikeDrivenTransformer: formats": lambda v: sdt_ref.SpikeDrivenTransformer(shipped, "fixed", None, v),
        "model: x": model,
        "model: record": lambda v: model(PICTURE, record=v),
        "predict: picture": model.predict,
        "predict: top": lambda v: model.predict(grey, top=v),
        "rank": model.rank,
        "dense.forward: model": lambda v: sdt_ref.dense.forward(v, PICTURE),
        "observe: x": lambda v: observe(model, v),
        "look_into: name": lambda v: look_into(seen, v),
        "look_into: token": lambda v: look_into(seen, "block.0.attn.q_lif", v),
        "look_into: channel": lambda v: look_into(seen, "block.0.attn.q_lif", None, v),
        "attention_maps: spikes": attention_maps,
        "attention_maps: sample": lambda v: attention_maps(result.spikes, v),
        "SpikeEvents: grid": lambda v: sdt_ref.SpikeEvents(v, 4, FLAT, NONE),
        "SpikeEvents: n_channels": lambda v: sdt_ref.SpikeEvents((1, 1), v, FLAT, NONE),
        "SpikeEvents: offsets": lambda v: sdt_ref.SpikeEvents((1, 1), 4, v, NONE),
        "SpikeEvents: channels": lambda v: sdt_ref.SpikeEvents((1, 1), 4, FLAT, v),
        "SpikeEvents: heads": lambda v: sdt_ref.SpikeEvents((1, 1), 4, FLAT, NONE, v),
        "from_dense": sdt_ref.SpikeEvents.from_dense,
        "from_dense: heads": lambda v: sdt_ref.SpikeEvents.from_dense(v, heads=True),
        "from_scipy": lambda v: sdt_ref.SpikeEvents.from_scipy(v, (1, 1)),
        "in_heads": events.in_heads,
        "Formats: default": lambda v: Formats(v, {}),
        "Formats: stages": lambda v: Formats({}, v),
        "Formats: registers": lambda v: Formats({}, {"head_lif": v}),
        "Formats: keys": lambda v: Formats({"membrane": v}, {}),
        "Formats: bits": lambda v: Formats({"membrane": {"bits": v}}, {}),
        "Formats: rounding": lambda v: Formats({"membrane": {"rounding": v}}, {}),
        "Formats: leak": lambda v: Formats({"membrane": {"leak": v}}, {}),
        "Formats.from_toml": Formats.from_toml,
        "formats.load": formats.load,
        "leak_terms": formats.leak_terms,
        "open_picture": open_picture,
        "open_recording": open_recording,
        "open_pictures": lambda v: open_pictures(v, ("cat",)),
        "open_recordings": lambda v: open_recordings(v, ("cat",)),
        "technology": technology,
        "with_values": lambda v: TECHNOLOGIES["45nm-int8"].with_values({"add": v}),
    }


def _refusal(call: Callable[[Any], object], value: Any) -> str | None:
    """The message of the SdtError that a call ends with, if it does."""
    try:
        call(value)
    except SdtError as error:
        return str(error)
    except Exception as error:
        raise AssertionError(f"{shown(value)}: {type(error).__name__}") from error
    return None


def test_strange_arguments_are_refused_in_one_line() -> None:
    """Some are no mistake, such as None for a default; none of them is another error, or claims memory."""
    functions = calls()
    refused = dict.fromkeys(functions, 0)
    for name, call in functions.items():
        for value in STRANGE:
            message = _refusal(call, value)
            refused[name] += bool(message)
            assert (message or "sound").isprintable(), (name, shown(value))
            assert len(message or "") <= LONGEST, (name, shown(value))
    assert min(refused.values()) > len(STRANGE) / 2, refused


@pytest.mark.parametrize(
    ("logits", "found"),
    [
        ([], "[]"),
        ([float("nan")] * 10, "nan"),
        (np.zeros(9), "an array of float64 of shape (9,)"),
        (np.zeros((1, 10)), "an array of float64 of shape (1, 10)"),
        (["a"] * 10, "'a'"),
    ],
    ids=["none", "NaN", "too few", "two axes", "text"],
)
def test_what_is_no_logits_is_not_ranked(logits: Any, found: str) -> None:
    with pytest.raises(sdt_ref.InputError, match="expected 10 finite numbers along one axis") as caught:
        sdt_ref.load().rank(logits)
    assert found in str(caught.value)


def test_whole_numbers_are_ranked_as_their_floats() -> None:
    model = sdt_ref.load()
    unsigned = np.arange(10, dtype=np.uint8)
    assert model.rank(unsigned) == model.rank(unsigned.astype(float))
    assert model.rank(list(range(10))) == model.rank(np.arange(10.0))


def test_a_shape_that_cannot_be_is_refused_before_anything_is_allocated() -> None:
    model = sdt_ref.load()
    with pytest.raises(sdt_ref.InputError, match="run fewer samples at a time"):
        model(np.broadcast_to(np.float32(0), (10**6, 3, 1024, 1024)))
    with pytest.raises(sdt_ref.ImageError, match="pixels, found shape"):
        model.predict(np.broadcast_to(np.uint8(0), (10**6, 10**6, 3)))


def test_a_picture_that_repeats_in_a_batch_is_no_mistake() -> None:
    model = sdt_ref.load()
    assert model(np.broadcast_to(PICTURE[0], (2, 3, 32, 32))).logits.shape == (2, 10)


def test_depth_is_told_by_first_items() -> None:
    assert not is_nested([[1]], 2)
    assert is_nested([[[1]]], 2)
    assert not is_nested([], 0)
    assert is_nested(LAUGHS, 5)
