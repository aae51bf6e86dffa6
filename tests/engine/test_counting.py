"""Operations that are entered during a run, added up by hand."""

import numpy as np

from sdt_ref.engine.counting import OperationCounter, as_given, first_steps, one_each


def test_entries_of_one_stage_are_added_up_and_kinds_kept_apart() -> None:
    counter = OperationCounter(3)
    counter.add(as_given, "leak", "head_lif", {"ac": 5})  # the same at every step
    counter.add(as_given, "leak", "head_lif", {"ac": np.array([1, 0, 2]), "shifts": 7})
    counter.add(one_each, "pool", "head_lif", np.array([0, 4, 4, 9]), ("comparisons", "events"))
    counts = counter.stage_counts
    assert {kind: list(stages) for kind, stages in counts.items()} == {"leak": ["head_lif"], "pool": ["head_lif"]}
    assert counts["leak"]["head_lif"].ac.tolist() == [6, 5, 7]
    assert counts["leak"]["head_lif"].shifts.tolist() == [7, 7, 7]
    assert counts["leak"]["head_lif"].comparisons.tolist() == [0, 0, 0]
    assert counts["pool"]["head_lif"].comparisons.tolist() == [4, 0, 5]
    assert counts["pool"]["head_lif"].events.tolist() == [4, 0, 5]
    assert dict(counter.counts()) == {}


def test_another_counter_s_entries_are_taken_over() -> None:
    one, other = OperationCounter(1), OperationCounter(1)
    for counter, sums in ((one, 2), (other, 3)):
        counter.add(lambda time_steps, sums: [(("layer",), {"ac": sums})], sums)
    one.merge(other)
    assert one.counts()["layer"].ac.tolist() == [5]
    assert other.counts()["layer"].ac.tolist() == [3]


def test_a_table_is_made_when_it_is_read_and_only_once() -> None:
    made = []

    def rule(time_steps: int) -> list[tuple[tuple[str, ...], dict[str, int]]]:
        made.append(time_steps)
        return [(("layer",), {"ac": 1})]

    counter = OperationCounter(2)
    counter.add(rule)
    counts = counter.counts()
    assert made == []
    assert [list(counts), len(counts), made] == [["layer"], 1, [2]]


def test_a_picture_is_read_at_the_first_step() -> None:
    assert first_steps(4, 6, 1).tolist() == [6, 0, 0, 0]
    assert first_steps(3, np.array([1, 2, 3]), 3).tolist() == [1, 2, 3]
