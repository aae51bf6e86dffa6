"""The confusion matrix on a screen: every number, also in a narrow window, and hostile names."""

import numpy as np
import pytest

from sdt_ref.measuring.confusion import Confusion
from sdt_ref.terminal.confusion import show_largest, show_matrix, show_per_class
from sdt_ref.terminal.screen import Screen

Capture = pytest.CaptureFixture[str]


def of(*names: str) -> Confusion:
    confusion = Confusion(names)
    confusion.add(np.repeat([0, 0, 1], [1234, 5, 7]), np.repeat([0, 1, 1], [1234, 5, 7]))
    confusion.add(np.array([1]), np.array([-1]))
    return confusion


def test_few_classes_are_a_table(capsys: Capture) -> None:
    confusion = of("cat", "dog", "ship")
    show_matrix(Screen(), confusion.classes, confusion.counts)
    assert capsys.readouterr().out.splitlines() == [
        "label, as predicted     0 1 2",
        "0 cat               1,234 5",
        "1 dog                     7",
        "2 ship                      0",
    ]


def test_the_accuracy_of_each_class(capsys: Capture) -> None:
    show_per_class(Screen(), of("cat", "dog", "ship").per_class())
    assert capsys.readouterr().out.splitlines() == [
        "class  right     of  accuracy    95 % interval  unreadable",
        "cat    1,234  1,239     99.6%   99.1% to 99.8%",
        "dog        7      7    100.0%  64.6% to 100.0%           1",
        "ship       0      0",
    ]
    show_per_class(Screen(), [each._replace(unreadable=0) for each in of("cat", "dog").per_class()])
    assert "unreadable" not in capsys.readouterr().out


def test_the_largest_confusions(capsys: Capture) -> None:
    show_largest(Screen(), of("cat", "dog").largest(10))
    assert capsys.readouterr().out.splitlines() == ["class  taken for  images", "cat    dog             5"]


def test_names_are_neither_markup_nor_control_characters(capsys: Capture) -> None:
    hostile = of("[red]cat[/]", "\x1b[31mdog\n\udcff")
    show_matrix(Screen(), hostile.classes, hostile.counts)
    show_per_class(Screen(), hostile.per_class())
    show_largest(Screen(), hostile.largest(1))
    shown = capsys.readouterr().out
    assert shown.count("[red]cat[/]") == 3
    assert shown.replace("\n", "").isprintable()


def test_in_a_narrow_window_no_number_is_lost(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("LINES", raising=False)
    confusion = Confusion([f"class {k}" for k in range(12)])
    confusion.counts[:] = np.arange(144).reshape(12, 12) + 1000
    show_matrix(Screen(), confusion.classes, confusion.counts)
    shown = capsys.readouterr().out
    assert all(f"{number:,}" in shown for number in range(1000, 1144))
    assert max(map(len, shown.splitlines())) <= 40
