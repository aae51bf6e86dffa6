"""Energy of each kind of operation, by hand; the constants' sources."""

import math

import numpy as np
import pytest

import sdt_ref
from sdt_ref.cost.account import FIELDS, SYNAPSES, Account
from sdt_ref.cost.technology import ON_BITS, TECHNOLOGIES, energy, technology

FLOAT = TECHNOLOGIES["45nm-float32"]


# energy


def test_energy_of_each_kind_by_hand() -> None:
    cell = np.zeros((len(FIELDS), 2))
    for field, value in (("ac", 10), ("mac", 3), ("comparisons", 7), ("shifts", 5)):
        cell[FIELDS.index(field)] = value, 0
    account = Account({}, {("a", kind): cell for kind in (SYNAPSES, "leak", "token_mean", *ON_BITS)}, {}, {})
    how = FLOAT.with_values({"shift": 0.5})
    spent = energy(account, how)
    assert spent["a", SYNAPSES].tolist() == pytest.approx([10 * 0.9 + 3 * 4.6 + 7 * 0.9 + 5 * 0.5, 0])
    assert spent["a", "token_mean"][0] == pytest.approx(10 * 0.9 + 3 * 3.7 + 7 * 0.9 + 5 * 0.5)  # it only divides
    assert spent["a", "pool"][0] == pytest.approx(10 * 0.9 + 3 * 3.7 + 7 * 0.03 + 5 * 0.5)


def test_technologies_have_sources_and_the_paper_s_constants() -> None:
    assert FLOAT.mac == pytest.approx(4.6)
    assert FLOAT.add == 0.9
    for how in TECHNOLOGIES.values():
        assert any(year in how.source for year in ("2014", "2021"))
        assert 0 < how.bit <= how.add <= how.mac
    with pytest.raises(sdt_ref.SdtError, match="expected one of 45nm-float32"):
        technology("3nm")
    for value in (-1.0, math.nan, math.inf, 1e300):
        with pytest.raises(sdt_ref.SdtError, match="expected picojoules, 0 to 1e\\+06"):
            FLOAT.with_values({"add": value})
    with pytest.raises(sdt_ref.SdtError, match="expected one of multiply, add"):
        FLOAT.with_values({"name": 1.0})
