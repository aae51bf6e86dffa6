"""What fits into a page."""

import base64
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import sdt_ref
from sdt_ref.engine.events import SpikeEvents
from sdt_ref.page import sampling
from sdt_ref.page.write import MAX_BYTES, write
from tests.page.embedded import Page, counts


@given(
    st.lists(st.builds(sampling.Shape, st.integers(1, 4096), st.integers(1, 300), st.integers(1, 300)), max_size=80),
    st.integers(1, 32),
)
@example([sampling.Shape(3072, 18, 18)] * 70, 4)
@settings(max_examples=60)
def test_a_plan_fills_the_page_and_does_not_overflow(shapes: list[sampling.Shape], T: int) -> None:
    plan = sampling.plan(shapes, range(T))
    mapped = [shape for shape in shapes if shape.has_map]

    def n_bytes(more: int) -> int:
        each = dataclasses.replace(plan, channels=plan.channels + more)
        return sum(len(each.chosen(shape)) * shape.height * shape.width for shape in mapped) * T // 8

    assert plan.channels >= 1
    if plan.channels > 1:
        assert n_bytes(0) <= sampling.SPIKE_BYTES
    if any(shape.channels > plan.channels for shape in mapped):
        assert n_bytes(1) > sampling.SPIKE_BYTES
    for shape in shapes:
        chosen = plan.chosen(shape)
        assert (np.diff(chosen) > 0).all()
        assert 0 <= chosen[0] <= chosen[-1] < shape.channels
        assert np.ptp(np.diff(chosen)) <= 1 if len(chosen) > 1 else True
        assert -(-max(shape.height, shape.width) // plan.block(shape)) <= plan.side


@given(st.integers(1, 5000), st.integers(2, 64))
def test_steps_are_evenly_spaced_with_both_ends(n: int, most: int) -> None:
    chosen = sampling.evenly(n, most)
    assert len(chosen) == min(n, most)
    assert (chosen[0], chosen[-1]) == (0, n - 1)
    assert chosen == sorted(set(chosen))


def test_packing_by_hand() -> None:
    assert base64.b64decode(sampling.packed_bits(np.array([[1, 0, 0, 0], [0, 0, 0, 1], [1, 1, 0, 0]], bool))) == (
        bytes([0b10000001, 0b11000000])
    )
    packed = sampling.packed_counts(np.array([[[1, 258]]]))
    assert packed == {"shape": [1, 1, 2], "bytes": 2, "max": 258, "data": base64.b64encode(b"\1\0\2\1").decode()}
    added = sampling.added_up(np.arange(15).reshape(1, 3, 5), 2)
    assert added.tolist() == [[[0 + 1 + 5 + 6, 2 + 3 + 7 + 8, 4 + 9], [10 + 11, 12 + 13, 14]]]
    events = SpikeEvents.from_dense(np.array([[[[[1, 0]], [[0, 0]], [[1, 1]]]]]))  # [1, 1, 3, 1, 2]
    assert sampling.bits_of(events, [0], np.array([0, 2])).tolist() == [[[True, False], [True, True]]]
    assert sampling.counts_per_position(events, [0]).tolist() == [[2, 1]]


@pytest.mark.slow
def test_a_large_network_fits_and_says_what_it_sampled(wide: tuple[Path, Page], cat: Path) -> None:
    path, data = wide
    print(f"{path.stat().st_size:,} and {cat.stat().st_size:,} bytes")
    assert cat.stat().st_size < 1_000_000
    assert 2_000_000 < path.stat().st_size < MAX_BYTES == 5_000_000
    channels, maps = data["sampled"]
    kept = {len(stage["sample"]["channels"]) for stage in data["stages"] if "map" in stage}
    assert len(kept) == 1
    assert max(kept) >= 16
    assert channels.startswith(f"Channels one by one: {max(kept)} of each stage that has more (up to 3,072)")
    assert "add up squares of up to 3 x 3 positions" in maps
    first = data["stages"][0]
    assert counts(first["map"]).sum(axis=(1, 2)).tolist() == first["spikes"]
    assert all(np.sum(stage["membrane"]["counts"]) == 4 * 96 * 288 * 288 for stage in data["stages"][:1])
    text = path.read_text()
    assert channels in text
    assert "this page holds a sample" in text
    assert "this page holds a sample" not in cat.read_text()


def test_too_large_a_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(sdt_ref.SdtError, match=r"expected less than 5 MB, found 5.0 MB; choose fewer with --steps"):
        write(tmp_path / "r.html", "x" * MAX_BYTES)
    assert list(tmp_path.iterdir()) == []
